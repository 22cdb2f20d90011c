"""Nothing that came in the clear is ever run under TLS, and nothing that TLS brought is lost."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from netkit.starttls import Name
from tests.starttls.playing import (
    GO_AHEAD,
    NAMES,
    REFUSED,
    SWITCH,
    Client,
    Heard,
    client,
    serving,
)

EVIL = b"NOOP evil\r\n"

every = pytest.mark.parametrize("name", NAMES)


async def greeted(name: Name, talking: Client) -> None:
    """Read the greeting, where there is one."""
    if name != "irc":
        await talking.line()


@every
@pytest.mark.parametrize("pieces", [1, 2, 3], ids=["whole", "split", "thrice"])
@pytest.mark.parametrize("injected", [EVIL, b"N", b"\r\n", b"\x16NOOP\r\n", b"\0"])
async def test_behind_the_command(
    name: Name, pieces: int, injected: bytes, own_certificates: Path
) -> None:
    heard = Heard()
    async with serving(name, heard.handle) as server:
        async with client(server, own_certificates) as talking:
            await greeted(name, talking)
            switch = SWITCH[name]
            for piece in range(1, pieces):  # the command itself may come in parts
                await talking.send(switch[piece - 1 : piece])
            await talking.send(switch[pieces - 1 :] + injected)
            said = await talking.rest()
            assert REFUSED[name] in said
            assert GO_AHEAD[name] not in said
        await server.connections.emptied()
        assert server.connections.refused["starttls-injection"] == 1
    assert heard.said == []


@every
async def test_behind_a_line_before_the_command(name: Name, own_certificates: Path) -> None:
    """What comes in one packet with its command is in order as long as that is not STARTTLS."""
    heard = Heard()
    async with (
        serving(name, heard.handle) as server,
        client(server, own_certificates) as talking,
    ):
        await greeted(name, talking)
        await talking.send(b"a NOOP\r\n" + SWITCH[name] + EVIL)
        said = await talking.rest()
        assert REFUSED[name] in said
    assert heard.said == []


@every
@pytest.mark.parametrize("injected", [EVIL, b"N", b"\x16\x03NOOP\r\n\r\n"])
async def test_before_the_hello(name: Name, injected: bytes, own_certificates: Path) -> None:
    heard = Heard()
    async with serving(name, heard.handle) as server:
        async with client(server, own_certificates) as talking:
            await greeted(name, talking)
            await talking.send(SWITCH[name])
            assert GO_AHEAD[name] in await talking.line()
            await talking.send(injected)
            with pytest.raises(ssl.SSLError):
                await talking.secure()
        await server.connections.emptied()
        assert sum(server.connections.handshake_failures.values()) == 1
    assert heard.said == []


@every
async def test_a_command_that_never_ended(name: Name, own_certificates: Path) -> None:
    """A line that was begun in the clear swallows STARTTLS, not the other way round."""
    heard = Heard()
    async with (
        serving(name, heard.handle) as server,
        client(server, own_certificates) as talking,
    ):
        await greeted(name, talking)
        await talking.send(b"b NOOP evil ")
        await talking.send(SWITCH[name])
        assert GO_AHEAD[name] not in await talking.line()
        await talking.send(SWITCH[name])
        assert GO_AHEAD[name] in await talking.line()
        await talking.secure()
        assert await talking.ask(b"good\r\n") == b"heard good\r\n"
    assert heard.said == [b"good\r\n"]


@every
@pytest.mark.parametrize("early", [1, 2, 3, 100, 10_000])
async def test_a_hello_that_did_not_wait(name: Name, early: int, own_certificates: Path) -> None:
    heard = Heard()
    async with (
        serving(name, heard.handle) as server,
        client(server, own_certificates) as talking,
    ):
        await greeted(name, talking)
        hello = talking.hello()
        await talking.send(SWITCH[name] + hello[:early])
        assert GO_AHEAD[name] in await talking.line()
        await talking.send(hello[early:])
        await talking.secure()
        assert await talking.ask(b"good\r\n") == b"heard good\r\n"
    assert heard.said == [b"good\r\n"]


@every
async def test_byte_by_byte(name: Name, own_certificates: Path) -> None:
    heard = Heard()
    async with (
        serving(name, heard.handle) as server,
        client(server, own_certificates) as talking,
    ):
        await greeted(name, talking)
        for byte in SWITCH[name]:
            await talking.send(bytes([byte]))
        assert GO_AHEAD[name] in await talking.line()
        await talking.secure(send=1)
        for number in range(20):
            line = b"%d\r\n" % number
            assert await talking.ask(line) == b"heard " + line
    assert heard.said == [b"".join(b"%d\r\n" % number for number in range(20))]
