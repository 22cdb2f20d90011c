"""Routes: how they are read, what they fit, and where clients come out."""

from __future__ import annotations

import pytest

from netkit import TLS
from netkit.errors import UsageError
from netkit.servers.tls import Tls, routes
from netkit.servers.tls.routes import Conditions, Table
from netkit.tls import client_context
from tests.tlsserver.relayed import Client, figure, hear, relaying, upstream, why


def test_what_is_read() -> None:
    written = routes.parse("sni=*.Shop.test,alpn=h2,alpn=http/1.1,to=127.0.0.1:1,to=unix:/a,b")
    assert written.conditions == Conditions(
        frozenset({"*.shop.test"}), frozenset({"h2", "http/1.1"})
    )
    assert written.protocols == ("h2", "http/1.1")
    assert written.to == ("127.0.0.1:1", "unix:/a,b")


def test_commas_in_a_command() -> None:
    written = routes.parse("alpn=irc,to=exec:printf a,b=c")
    assert written.to == ("exec:printf a,b=c",)


def test_names_that_are_not_ascii() -> None:
    written = routes.parse("sni=bücher.test,to=127.0.0.1:1")
    assert written.conditions.names == {"xn--bcher-kva.test"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("127.0.0.1:80", "'127.0.0.1:80' is none of sni=NAME, alpn=PROTOCOL and to=UPSTREAM"),
        ("sni=a.test", "to= is missing"),
        ("to=127.0.0.1:1", "without sni= or alpn= it is for everybody, which is what --to is for"),
        ("sni=,to=127.0.0.1:1", "'sni=' is none of"),
        ("sni=a b,to=127.0.0.1:1", "'a b' is no host name"),
        ("sni=a.*.test,to=127.0.0.1:1", "'a.*.test' is no host name"),
        ("sni=*,to=127.0.0.1:1", "'*' is no host name"),
    ],
)
def test_what_cannot_be_meant(text: str, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        routes.parse(text)
    assert str(caught.value).startswith(f"--route {text}: {why}")
    assert str(caught.value).endswith(f"write it like {routes.EXAMPLE}")


def test_an_upstream_that_cannot_be_meant() -> None:
    with pytest.raises(UsageError, match=r"--route tls://a:1: .* for TLS add --originate"):
        Tls(route=("sni=a.test,to=tls://a:1",))


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("www.shop.test", True),
        ("WWW.Shop.Test.", True),
        ("shop.test", False),
        ("a.b.shop.test", False),
        ("www.shop.test.evil", False),
        ("", False),
        (None, False),
    ],
)
def test_a_wildcard_is_one_label(name: str | None, fits: bool) -> None:
    conditions = Conditions(frozenset({"*.shop.test"}))
    assert conditions.fit(name, None) is fits


def test_different_conditions_must_all_hold() -> None:
    conditions = Conditions(frozenset({"shop.test"}), frozenset({"h2", "h3"}))
    assert conditions.fit("shop.test", "h3")
    assert not conditions.fit("shop.test", None)
    assert not conditions.fit("other.test", "h2")


def test_the_first_that_fits() -> None:
    table = Table(
        [
            (Conditions(frozenset({"*.shop.test"}), frozenset({"h2"})), "new"),
            (Conditions(frozenset({"www.shop.test"})), "www"),
            (Conditions(frozenset({"*.shop.test"})), "any"),
        ],
        "default",
    )
    assert table.find("www.shop.test", "h2") == "new"
    assert table.find("www.shop.test", None) == "www"
    assert table.find("api.shop.test", "http/1.1") == "any"
    assert table.find(None, None) == "default"


async def test_clients_come_out_where_they_asked_for() -> None:
    async with upstream() as shop, upstream() as new, upstream() as rest:
        route = (
            f"sni=shop.test,alpn=h2,to={new.to}",
            f"sni=shop.test,sni=*.shop.test,to={shop.to}",
        )
        async with relaying(rest.to, route=route) as server:
            for name, alpn, where in (
                ("shop.test", (), shop),
                ("shop.test", ("h2", "http/1.1"), new),
                ("shop.test", ("http/1.1",), shop),
                ("WWW.shop.test", ("h2",), shop),
                ("other.test", ("h2",), rest),
            ):
                client = await Client.connect(
                    server, client_context(insecure=True, alpn=alpn), name
                )
                await client.send(name.encode())
                there = await where.accept()
                assert await there.until(len(name)) == name.encode()
                await client.end()
                await there.ended.wait()
                there.end()
                assert await client.rest() == b""
                client.close()
            await server.connections.emptied()


async def test_no_route_and_no_default(caplog: pytest.LogCaptureFixture) -> None:
    hear(caplog)
    async with relaying(route=("sni=shop.test,to=127.0.0.1:1",)) as server:
        client = await Client.connect(server, name="other.test")
        await client.send(b"hello")
        assert await client.rest() == b""  # in order
        await client.end()
        client.close()
        assert await why(server, caplog) == "no route for SNI 'other.test'"
        assert figure(server, "tls_refused_total") == 1


def test_routes_say_what_is_offered() -> None:
    service = Tls(route=("alpn=h2,alpn=irc,to=127.0.0.1:1", "alpn=irc,to=127.0.0.1:2"))
    assert TLS().of(service).ssl_alpn == ("h2", "irc")
    assert TLS(ssl_alpn=("x",)).of(service).ssl_alpn == ("x",)
