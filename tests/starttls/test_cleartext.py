"""A connection in the clear: its time, its end, what it counts for, and the proxy before it."""

from __future__ import annotations

import asyncio
import logging
import socket
from pathlib import Path

import pytest

import netkit
from netkit import Limits, Proxy, Server, UsageError
from netkit.connections import Connection
from netkit.starttls import Name
from tests.proxy.encoder import LINE
from tests.proxy.served import REAL, tell
from tests.starttls.playing import GO_AHEAD, NAMES, SWITCH, Heard, client, serving

every = pytest.mark.parametrize("name", NAMES)


def access(caplog: pytest.LogCaptureFixture) -> str:
    """The access log's only line."""
    (line,) = [each.getMessage() for each in caplog.records if each.name == "netkit.access"]
    return line


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "netkit")


@every
async def test_one_that_says_nothing_has_its_time(
    name: Name, own_certificates: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heard, limits = Heard(), Limits(handshake=0.1)
    async with (
        serving(name, heard.handle, limits=limits) as server,
        client(server, own_certificates) as talking,
    ):
        said = await talking.rest()
        await server.connections.emptied()
    line = access(caplog)
    assert line.endswith(": no STARTTLS within 0.1 s (--limit-handshake)")
    # POP3 has no goodbye that nobody asked for.
    assert (b"no STARTTLS within" in said) == (name != "pop3")


async def test_one_that_goes_on_talking_has_no_more_time(
    own_certificates: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heard, limits = Heard(), Limits(handshake=0.2)
    async with (
        serving("smtp", heard.handle, limits=limits) as server,
        client(server, own_certificates) as talking,
    ):
        await talking.line()
        ended = asyncio.create_task(server.connections.emptied())
        for _ in range(8):  # it could go on for 32 lines
            await talking.send(b"NOOP\r\n")
            assert await talking.line() == b"250 OK\r"
        await talking.send(b"NOO")
        await ended
        assert (await talking.rest()).startswith(b"421 ")
    assert ": no STARTTLS within 0.2 s" in access(caplog)


async def test_the_handshake_has_what_is_left_of_the_time(
    own_certificates: Path, caplog: pytest.LogCaptureFixture
) -> None:
    limits = Limits(handshake=3600)
    async with (
        serving("smtp", Heard().handle, limits=limits) as server,
        client(server, own_certificates) as talking,
    ):
        await talking.line()
        (connection,) = await opened(server)
        connection.began -= 3600
        await talking.send(b"STARTTLS\r\n")
        assert (await talking.rest()).startswith(b"220 ")
        await server.connections.emptied()
        assert server.connections.handshake_failures.total() == 1
    assert ": TLS handshake failed: " in access(caplog)


@every
async def test_the_end_of_input(
    name: Name, own_certificates: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heard = Heard()
    async with serving(name, heard.handle) as server:
        async with client(server, own_certificates) as talking:
            await talking.send(SWITCH[name][:4])
            talking.sock.shutdown(socket.SHUT_WR)
            await talking.rest()
        await server.connections.emptied()
    assert access(caplog).endswith(": ended before STARTTLS")
    assert heard.said == []


async def test_a_reset(own_certificates: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with serving("smtp", Heard().handle) as server:
        async with client(server, own_certificates) as talking:
            await talking.line()
            talking.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        await server.connections.emptied()
    assert access(caplog).endswith(": Connection reset by peer before STARTTLS")


@pytest.mark.parametrize(
    ("name", "last", "why"),
    [
        ("smtp", b"QUIT\r\n", "QUIT before STARTTLS"),
        ("imap", b"a LOGOUT\r\n", "LOGOUT before STARTTLS"),
        ("irc", b"QUIT\r\n", "QUIT before STARTTLS"),
        ("pop3", b"QUIT\r\n", "QUIT before STLS"),
        ("smtp", b"x" * 600, "line too long"),
        ("irc", b"PING 1\r\n" * 40, "too many commands before STARTTLS"),
    ],
)
async def test_last_words(
    name: Name,
    last: bytes,
    why: str,
    own_certificates: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """They arrive although the client had sent more than was read."""
    async with serving(name, Heard().handle) as server:
        async with client(server, own_certificates) as talking:
            await talking.send(last + b"and more\r\n" * 100)
            said = await talking.rest()
        await server.connections.emptied()
        assert server.connections.refused.total() == 0
    assert said.endswith(b"\r\n")
    assert said.splitlines()[-1].startswith((b"221 ", b"a OK ", b"ERROR ", b"+OK ", b"421 "))
    assert access(caplog).endswith(f": {why}")


@every
@pytest.mark.parametrize("grace", [0, 5])
async def test_drain(
    name: Name, grace: float, own_certificates: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        serving(name, Heard().handle) as server,
        client(server, own_certificates) as talking,
    ):
        await talking.send(SWITCH[name][:4])
        await opened(server)
        reading = asyncio.create_task(talking.rest())
        await server.stop(grace)
        await reading
    assert access(caplog).endswith(": server shut down")


@every
async def test_a_connection_that_goes_on(
    name: Name, own_certificates: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One connection, one line of the log, from the first byte in the clear."""
    heard = Heard()
    async with serving(name, heard.handle) as server:
        async with client(server, own_certificates) as talking:
            if name != "irc":
                await talking.line()
            (connection,) = await opened(server)
            assert (connection.id, connection.unsent(), connection.vanished()) == (1, 0, False)
            await talking.send(SWITCH[name])
            assert GO_AHEAD[name] in await talking.line()
            await talking.secure()
            assert await talking.ask(b"a\n") == b"heard a\n"
            (connection,) = server.connections.open.values()
            assert connection.id == 1
        await server.connections.emptied()
        assert server.connections.accepted == 1
    assert ", TLSv1.3 " in access(caplog)


async def opened(server: Server) -> list[Connection]:
    while not server.connections.open:
        await asyncio.sleep(0)  # a turn of the loop
    return list(server.connections.open.values())


@every
async def test_behind_a_proxy(
    name: Name, own_certificates: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its header, then the clear, then TLS: all in one packet up to the command."""
    async with serving(name, tell, proxy=Proxy(("127.0.0.1",))) as server:
        async with client(server, own_certificates) as talking:
            await talking.send(LINE + SWITCH[name])
            said = await talking.line()
            if name != "irc":
                said = await talking.line()
            assert GO_AHEAD[name] in said
            await talking.secure()
            assert await talking.ask(b"x\n") == REAL
        await server.connections.emptied()
    assert access(caplog).startswith("203.0.113.9:5000 > tls://127.0.0.1:")


async def test_a_proxy_that_injects(own_certificates: Path) -> None:
    heard = Heard()
    async with (
        serving("smtp", heard.handle, proxy=Proxy(("127.0.0.1",))) as server,
        client(server, own_certificates) as talking,
    ):
        await talking.send(LINE + b"STARTTLS\r\nNOOP evil\r\n")
        assert b"\r\n554 nothing may follow" in await talking.rest()
    assert heard.said == []


async def test_a_stranger_beside_a_proxy(own_certificates: Path) -> None:
    heard = Heard()
    async with (
        serving("smtp", heard.handle, proxy=Proxy(("10.0.0.0/8",))) as server,
        client(server, own_certificates) as talking,
    ):
        await talking.line()
        await talking.send(b"STARTTLS\r\n")
        await talking.line()
        await talking.secure()
        assert await talking.ask(b"a\n") == b"heard a\n"


async def test_a_plain_listener_is_not_what_was_meant() -> None:
    with pytest.raises(UsageError, match="--starttls smtp: no listener here has TLS; add --tls"):
        async with netkit.serve(Heard().handle, starttls="smtp"):
            pytest.fail("it serves")


async def test_an_unknown_protocol(own_certificates: Path) -> None:
    wrong: Name = "ftp"  # type: ignore[assignment]  # what is tested
    with pytest.raises(UsageError, match="--starttls ftp: give one of imap, irc, pop3, smtp"):
        async with serving(wrong, Heard().handle):
            pytest.fail("it serves")


async def test_many_at_once(own_certificates: Path) -> None:
    heard = Heard()

    async def talk(server: Server, number: int) -> None:
        async with client(server, own_certificates) as talking:
            await talking.line()
            await talking.send(b"STARTTLS\r\n")
            await talking.line()
            await talking.secure()
            line = b"%d\n" % number
            assert await talking.ask(line) == b"heard " + line

    async with serving("smtp", heard.handle) as server:
        await asyncio.gather(*(talk(server, number) for number in range(50)))
        await server.connections.emptied()
    assert sorted(heard.said) == sorted(b"%d\n" % number for number in range(50))
