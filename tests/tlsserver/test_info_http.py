"""HTTP as far as it goes: which form, which status, what a browser may do with it."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.servers.tls import asking, info
from netkit.servers.tls.asking import RefusedError, Request, form, is_request, preferred, request
from netkit.servers.tls.page import POLICY, STYLE
from tests.tlsserver.callers import curl, raw, telling

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", "text"),
        ("*/*", "text"),
        (BROWSER, "page"),
        ("application/json", "json"),
        ("application/json, text/plain, */*", "json"),
        ("*/*, application/json", "json"),
        ("text/plain;q=0.5, application/json;q=0.4", "text"),
        ("text/html;q=0, */*", "text"),
        ("text/html;q=nonsense", "page"),
        ("TEXT/HTML ; Q=0.9", "page"),
        ("image/png", "text"),
    ],
)
def test_what_is_preferred(accept: str, wanted: str) -> None:
    assert preferred(accept) == wanted


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        ("/", "page"),
        ("/json", "json"),
        ("/text", "text"),
        ("/?format=json", "json"),
        ("/json?format=text", "text"),
        ("/?other=1", "page"),
        ("https://localhost:8443/json", "json"),
    ],
)
def test_what_a_target_asks_for(target: str, wanted: str) -> None:
    assert form(Request("GET", target, "text/html")) == wanted


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        (b"GET / HTTP/1.1\r\n", True),
        (b"GET  / HTTP/1.1\n", True),
        (b"PRI * HTTP/2.0\r\n", True),
        (b"GET /\r\n", False),
        (b"hello\n", False),
        (b"", False),
        (b"\x16\x03\x01", False),
    ],
)
def test_what_is_a_request(line: bytes, is_one: bool) -> None:
    assert is_request(line) is is_one


HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (HEAD + b"Host: other\r\n\r\n", 400),
        (HEAD + b"nothing\r\n\r\n", 400),
        (HEAD + b" folded\r\n\r\n", 400),
        (HEAD + b"Name : value\r\n\r\n", 400),
        (b"GET //[ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /?format=pdf HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /favicon.ico HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (HEAD + b"A: b\r\n" * 100 + b"\r\n", 431),
        (b"PRI * HTTP/2.0\r\n\r\n", 505),
    ],
)
def test_what_is_refused(head: bytes, status: int) -> None:
    with pytest.raises(RefusedError) as refused:
        form(request(head))
    assert refused.value.status == status


def test_http_1_0_needs_no_host() -> None:
    assert request(b"GET / HTTP/1.0\r\n\r\n") == Request("GET", "/")


@given(st.binary(max_size=200))
def test_any_head_gives_a_form_or_is_refused(head: bytes) -> None:
    for each in (
        head,
        b"GET /" + head + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        HEAD + head + b"\r\n\r\n",
    ):
        try:
            form(request(each))
        except RefusedError:
            continue


async def test_statuses_as_curl_sees_them() -> None:
    async with telling() as port:
        shown = ("-o", "/dev/null", "-w", "%{http_code} %{content_type}")
        found = await curl(port, *shown, path="/favicon.ico")
        assert found.output == "404 text/plain; charset=utf-8"
        posted = await curl(port, "-d", "x=1", "-D", "-")
        assert posted.output.startswith("HTTP/1.1 405 Method Not Allowed\r\n")
        assert "\r\nAllow: GET, HEAD\r\n" in posted.output
        large = await curl(port, *shown, "-H", f"X: {'x' * 20_000}")
        assert large.output.startswith("431 ")


async def test_head_has_the_headers_of_get_alone() -> None:
    async with telling() as port:
        head = await curl(port, "-I", path="/text")
        got = await curl(port, path="/text")
    length = re.search(r"Content-Length: (\d+)", head.output)
    assert length
    assert int(length[1]) == len(got.output)
    assert head.output.endswith("\r\n\r\n")


async def test_a_page_may_do_nothing_but_look_well() -> None:
    async with telling() as port:
        answer = (await curl(port, "-i", "-H", "Accept: text/html")).output
    head, _, page = answer.partition("\r\n\r\n")
    assert f"Content-Security-Policy: {POLICY}" in head.split("\r\n")
    assert "X-Content-Type-Options: nosniff" in head
    assert "Cache-Control: no-store" in head
    style = re.search(r"<style>(.*)</style>", page, re.DOTALL)
    assert style
    assert style[1] == STYLE
    digest = b64encode(sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in POLICY
    assert not re.search(r"<(script|img|link|iframe)|https?:|url\(", page)


async def test_whoever_agreed_on_http_is_sent_nothing_unasked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(info, "PATIENCE", 0.1)
    async with telling() as port:
        assert await raw(port, b"") == b""
        assert (await raw(port, b"GET / HTTP/1.1\r\n")).startswith(b"HTTP/1.1 408 ")


async def test_whoever_agreed_on_nothing_and_says_something_else_gets_text() -> None:
    async with telling() as port:
        for sent in (b"\n", b"GET /\r\n", b"\0" * 100_000):
            found = await raw(port, sent, alpn=())
            assert found.startswith(b"You are connected with TLS 1.3"), sent[:20]


async def test_two_requests_get_one_answer() -> None:
    twice = b"GET /json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2
    async with telling() as port:
        found = await raw(port, twice)
    assert found.count(b"HTTP/1.1 200 OK") == 1
    assert b"Connection: close" in found


def test_every_form_has_a_type() -> None:
    assert set(info.TYPES) == {*asking._FORMATS.values()}
