"""Upstreams: how they are read, which is taken, and what happens when they are down."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from netkit.drain import QUIET
from netkit.errors import UsageError
from netkit.servers.tls import Tls
from netkit.servers.tls.health import Health
from netkit.servers.tls.upstreams import Pool, Upstream
from tests.tlsserver.relayed import (
    Client,
    figure,
    free_port,
    hear,
    relaying,
    said,
    upstream,
    why,
)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("udp://127.0.0.1:1", "--to udp://127.0.0.1:1: give HOST:PORT, unix:PATH or exec:COMMAND"),
        ("tls://a.test:1", "--to tls://a.test:1: .*; for TLS add --originate"),
        ("a.test", "--to 'a.test': the port is missing"),
        ("a.test:0", "--to a.test:0: port 0 is nowhere"),
        ("exec:", "--to exec:: no command is given"),
        ("exec:'a", "--to exec:'a: No closing quotation"),
    ],
)
def test_what_cannot_be_meant(text: str, line: str) -> None:
    with pytest.raises(UsageError, match=line):
        Tls(to=(text,))


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"rise": 0}, "--rise 0: give 1 or more"),
        ({"connect_timeout": float("nan")}, "--connect-timeout nan: give 0.001 or more"),
        ({"originate": True}, "--originate: to whom"),
        ({"send_proxy": "v2"}, "--send-proxy: to whom"),
        ({"to": ("a.test:1",), "insecure": True}, "--insecure: it is for TLS to upstreams"),
        ({"to": ("a.test:1",), "server_name": "b"}, "--server-name: it is for TLS to upstreams"),
        ({"to": ("exec:cat",), "originate": True}, "--to exec:cat: a command speaks no TLS"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, object], line: str) -> None:
    with pytest.raises(UsageError, match=line):
        Tls(**settings)  # type: ignore[arg-type]  # mixed types


def test_one_that_stands_in_two_routes_is_one() -> None:
    service = Tls(to=("127.0.0.1:1",), route=("sni=a.test,to=127.0.0.1:1",))
    default, named = service.table.find(None, None), service.table.find("a.test", None)
    assert default is not None
    assert named is not None
    assert default.upstreams == named.upstreams


def test_the_one_with_least_to_do() -> None:
    one, two, three = (Upstream(name, open=2) for name in ("1", "2", "3"))
    pool = Pool([one, two, three])
    two.open = 1
    assert pool.choose() is two
    two.open = 2
    assert [pool.choose() for _ in range(4)] == [three, one, two, three]
    assert pool.choose({one, two}) is three
    two.health = Health(up=False)
    assert pool.choose({one, three}) is None


async def test_connections_are_spread() -> None:
    async with upstream() as one, upstream() as two, relaying(one.to, two.to) as server:
        clients = []
        for where in (one, two, one, two):
            clients.append(await Client.connect(server))
            await where.accept()
        gone = two.all[0]
        clients[1].reset()
        await gone.lost.wait()
        while figure(server, "tls_upstream_connections") == 4:
            await asyncio.sleep(0)  # a turn of the loop
        clients.append(await Client.connect(server))
        await two.accept()  # where there is one less
        for client in clients:
            client.close()


async def test_one_that_is_dead_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    hear(caplog)
    dead = f"127.0.0.1:{free_port()}"
    async with upstream() as served, relaying(dead, served.to, check_every=3600.0) as server:
        await served.accept()  # the check's
        for _ in range(3):
            client = await Client.connect(server)
            await client.send(b"hello")
            there = await served.accept()
            assert await there.until(5) == b"hello"
            client.close()
            await there.lost.wait()
        assert server.service.figures()["tls_upstream_up"] == {
            "upstream": {dead: 0.0, served.to: 1.0}
        }
        await server.connections.emptied()
    assert said(caplog) == [f"upstream down: {dead}: nothing listens there; is the server running?"]


async def test_without_checks_nothing_is_taken_down() -> None:
    dead = f"127.0.0.1:{free_port()}"
    async with upstream() as served, relaying(dead, served.to) as server:
        for _ in range(4):
            client = await Client.connect(server)
            there = await served.accept()
            client.close()
            await there.lost.wait()
        assert figure(server, "tls_upstream_up") == 2
        assert figure(server, "tls_upstream_retries_total") >= 1


async def test_all_are_down(caplog: pytest.LogCaptureFixture) -> None:
    hear(caplog)
    one, two = (f"127.0.0.1:{free_port()}" for _ in range(2))
    async with relaying(one, two) as server:
        client = await Client.connect(server)
        await client.send(b"hello")
        assert await client.rest() == b""  # close_notify
        await client.end()
        client.close()
        end = await why(server, caplog)
        assert end.startswith("no upstream: 127.0.0.1:")
        assert end.endswith("nothing listens there; is the server running?")


async def test_one_that_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    hear(caplog)
    place = free_port()
    to = f"127.0.0.1:{place}"
    async with relaying(to, check_every=0.01, rise=2) as server:
        while figure(server, "tls_upstream_up"):
            await asyncio.sleep(0)  # a turn of the loop
        client = await Client.connect(server)
        assert await client.rest() == b""
        await client.end()
        client.close()
        assert await why(server, caplog) == "no upstream: none is up"
        with socket.create_server(("127.0.0.1", place)):
            while not figure(server, "tls_upstream_up"):
                await asyncio.sleep(0.001)  # a turn of the loop that burns nothing
        assert said(caplog)[:2] == [
            f"upstream down: {to}: nothing listens there; is the server running?",
            f"upstream up again: {to}",
        ]


async def test_one_that_does_not_answer(caplog: pytest.LogCaptureFixture) -> None:
    hear(caplog)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        there = full.getsockname()
        # The kernel answers nothing more to who comes when the queue is full.
        held = [socket.socket() for _ in range(3)]
        for each in held:
            each.setblocking(False)
            each.connect_ex(there)
        async with relaying(f"127.0.0.1:{there[1]}", connect_timeout=0.2) as server:
            client = await Client.connect(server)
            assert await client.rest() == b""
            await client.end()
            client.close()
            assert "no answer in time" in await why(server, caplog)
        for each in held:
            each.close()


async def test_a_client_that_does_not_wait() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        there = full.getsockname()
        held = [socket.socket() for _ in range(3)]
        for each in held:
            each.setblocking(False)
            each.connect_ex(there)
        async with relaying(f"127.0.0.1:{there[1]}") as server:
            client = await Client.connect(server)
            client.reset()
        assert figure(server, "tls_upstream_connections") == 0
        for each in held:
            each.close()


async def test_a_unix_socket(tmp_path: Path) -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper())
        writer.close()
        await writer.wait_closed()

    path = tmp_path / "x.sock"
    async with await asyncio.start_unix_server(shout, path), relaying(f"unix:{path}") as server:
        client = await Client.connect(server)
        await client.send(b"hello")
        await client.end()
        assert await client.rest() == b"HELLO"
        client.close()
        await server.connections.emptied()


async def test_open_relays_go_on_while_it_drains() -> None:
    async with upstream() as served, relaying(served.to, grace=60.0) as server:
        client = await Client.connect(server)
        there = await served.accept()
        ending = asyncio.create_task(server.stop())
        await asyncio.sleep(2 * QUIET)  # after which it would be ended otherwise
        assert not there.ended.is_set()
        await client.send(b"still here")
        assert await there.until(10) == b"still here"
        there.transport.write(b"here too")
        assert await client.exactly(8) == b"here too"
        await client.end()
        await there.ended.wait()
        there.end()
        assert await client.rest() == b""
        client.close()
        await ending


async def test_the_grace_period_ends() -> None:
    async with upstream() as served:
        async with relaying(served.to, grace=0.4) as server:
            client = await Client.connect(server)
            there = await served.accept()
            await server.stop()
        await there.ended.wait()
        assert figure(server, "tls_upstream_connections") == 0
        client.close()
