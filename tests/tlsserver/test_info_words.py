"""Facts in words and as a page: nothing that a peer has a say in gets out of hand."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from netkit.certificates.describe import Description, describe
from netkit.certificates.develop import development
from netkit.servers.tls import Tls
from netkit.servers.tls.certificates import Shown
from netkit.servers.tls.facts import UNTOLD, Facts, Group, group, offer
from netkit.servers.tls.page import page
from netkit.servers.tls.words import data, text
from netkit.serving import serve
from netkit.tls.hello import parse
from tests.handshakes import local
from tests.peers import peer
from tests.servers import output
from tests.tlsserver.hellos import message, of_python, records, shorts, vector

HELLO = parse(of_python("h2"))
FACTS = Facts(
    "127.0.0.1:5000",
    "TLSv1.3",
    "TLS_AES_256_GCM_SHA384",
    256,
    Group(None, UNTOLD),
    "localhost",
    None,
    offer=offer(HELLO),
)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)


def tags(html: str) -> set[str]:
    parser = Tags()
    parser.feed(html)
    return set(parser.found)


def certificate(words: str) -> Description:
    made = describe(development().cert.read_bytes())
    return replace(made, subject=words, issuer=words, names=(words,), key=words, uses=(words,))


@given(st.text(max_size=80) | st.text(alphabet="<>&\"'/ \n\x1b\0scriptb", max_size=80))
def test_no_markup_and_no_control_character_of_a_peer(words: str) -> None:
    facts = replace(
        FACTS,
        peer=words,
        server_name=words,
        alpn=words,
        certificate=Shown(words, [certificate(words)]),
        offer=replace(offer(HELLO), alpn=[words, f"<{words}>"], ja4=words),
    )
    plain = page(replace(FACTS, certificate=Shown("", [certificate("x")])))
    made = page(facts)
    assert tags(made) == tags(plain)
    within = re.sub(
        r"<(/?[a-z0-9]+)( [a-z]+=\"[^\"<]*\")*>", "", made.removeprefix("<!doctype html>")
    )
    assert "<" not in within
    assert all(each.isprintable() or each == "\n" for each in made)
    assert all(each.isprintable() or each in "\r\n" for each in text(facts))
    assert json.loads(json.dumps(data(facts)))["server_name"] == words


def test_text_fits_a_terminal() -> None:
    assert max(map(len, text(FACTS).split("\r\n"))) <= 88


def test_the_facts_are_all_in_the_json() -> None:
    facts = replace(FACTS, certificate=Shown("why", [certificate("x")]))
    found = json.loads(json.dumps(data(facts)))
    assert found["certificate"]["chain"][0]["subject"] == "x"
    assert found["certificate"]["chain"][0]["not_after"].startswith("20")
    assert found["offer"]["alpn"] == ["h2"]


class Secured:
    """What `group` asks of a connection."""

    def __init__(self, version: str, *, resumed: bool = False) -> None:
        self._version, self.session_reused = version, resumed
        self.context = local().context

    def version(self) -> str:
        return self._version


def test_the_group_that_was_agreed_on() -> None:
    sent = of_python()
    assert group(Secured("TLSv1.3"), sent, parse(sent)) == Group("x25519", "")


def test_the_group_that_the_server_had_to_ask_for() -> None:
    secured, sent = Secured("TLSv1.3"), of_python()
    secured.context.set_ecdh_curve("prime256v1")
    found = group(secured, sent, parse(sent))
    assert found == Group("secp256r1", "the server had to ask for it (HelloRetryRequest)")


def test_the_group_is_not_guessed() -> None:
    unknown = Group(None, f"not known: {UNTOLD}")
    assert group(Secured("TLSv1.3"), b"", None) == unknown
    foreign = message([0x1301], [(43, vector(1, shorts([0x0304]))), (10, vector(2, shorts([1])))])
    sent = records(foreign)
    assert group(Secured("TLSv1.3"), sent, parse(sent)) == unknown
    resumed = group(Secured("TLSv1.2", resumed=True), of_python(), HELLO)
    assert (resumed.name, resumed.why) == (None, "none: the keys come from the earlier session")


def test_a_key_log_is_not_spoilt(tmp_path: Path) -> None:
    secured, sent = Secured("TLSv1.3"), of_python()
    secured.context.keylog_filename = str(tmp_path / "keys.log")
    assert group(secured, sent, parse(sent)).name is None
    del secured
    assert "SECRET" not in (tmp_path / "keys.log").read_text()


def test_python_3_15_tells_the_group() -> None:
    class Newer(Secured):
        def group(self) -> str:
            return "X25519MLKEM768"

    assert group(Newer("TLSv1.3"), b"", None) == Group("X25519MLKEM768", "")


async def test_a_connection_without_tls_is_told_so() -> None:
    async with serve(Tls(), bind="tcp://127.0.0.1:0") as server:
        port = server.addresses[0].rpartition(":")[2]
        said = await output(peer("ncat"), "127.0.0.1", port, given=b"hello\n")
    assert said == b"This connection is not encrypted.\r\n"


def test_the_page_of_a_connection_without_tls() -> None:
    found: Any = page(Facts("127.0.0.1:5000"))
    assert "<h1>This connection is not encrypted.</h1>" in found
