"""The service over real sockets, with people of our own."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import pytest

from netkit.errors import UsageError
from netkit.servers.chat import Chat
from tests.chat.house import Person, both_sides, listening, person


def unhurried(outbox: int = 262_144) -> Chat:
    return Chat(outbox=outbox, rate=1e6, burst=1_000_000)


async def test_two_people_see_each_other() -> None:
    async with (
        listening(Chat()) as port,
        person(port, "alice") as alice,
        person(port, "bob") as bob,
    ):
        await alice.sees("* bob joined #lobby")
        await alice.type("hello")
        assert await bob.sees("hello") == "#lobby <alice> hello"
        await bob.type("/msg alice psst", "/quit")
        assert await alice.sees("psst") == "(private) <bob> psst"
        assert await alice.sees("bob left") == "* bob left (quit)"
        await bob.sees("* Goodbye.")
        assert await bob.reader.read() == b""


async def test_the_end_of_input_is_answered_and_told() -> None:
    async with listening(Chat()) as port, person(port, "alice") as alice:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"bob\nlast words without an end")
        writer.write_eof()
        assert b"Hello bob" in await reader.read()
        assert await alice.sees("last") == "#lobby <bob> last words without an end"
        assert await alice.sees("bob left") == "* bob left (connection closed)"
        writer.close()
        await writer.wait_closed()


async def test_a_reset_is_told() -> None:
    async with listening(Chat()) as port, person(port, "alice") as alice:
        async with person(port, "bob") as bob:
            bob.writer.transport.abort()
        assert "* bob left (connection" in await alice.sees("bob left")


async def test_a_line_that_is_too_long_is_skipped() -> None:
    async with (
        listening(Chat(max_line=100)) as port,
        person(port, "alice") as alice,
        person(port, "bob") as bob,
    ):
        await alice.type("x" * 1_000_000, "short")
        await alice.sees("! that line was too long")
        assert await bob.sees("<alice>") == "#lobby <alice> short"


async def test_whoever_gives_no_name_is_dropped() -> None:
    async with listening(Chat(login_timeout=0.05)) as port, person(port, "alice") as alice:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert (await reader.read()).endswith(b"! no name within 0.05 seconds: goodbye\r\n")
        writer.close()
        await writer.wait_closed()
        await alice.type("/who")
        await alice.sees("* in #lobby: alice")


async def test_telnet_options_are_refused() -> None:
    async with listening(Chat()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await reader.readuntil(b"name?\r\n")
        writer.write(b"\xff\xf4\xff\xfd\x06")  # what Ctrl-C sends: IP, DO TIMING-MARK
        assert await reader.readexactly(3) == b"\xff\xfc\x06"
        writer.write(b"al\xff\xf1ice\r\n")
        assert b"Hello alice." in await reader.readuntil(b"commands.\r\n")
        writer.close()
        await writer.wait_closed()


async def test_drain_says_goodbye_and_closes() -> None:
    chat = Chat()
    async with listening(chat) as port, person(port, "alice") as alice, person(port, "bob") as bob:
        nameless, writer = await asyncio.open_connection("127.0.0.1", port)
        await nameless.readuntil(b"name?\r\n")
        await chat.drain()
        assert await nameless.read() == b"* server is going down\r\n"
        for someone in (alice, bob):
            assert (await someone.reader.read()).endswith(b"* server is going down\r\n")
        writer.close()
        await writer.wait_closed()


async def test_what_one_turn_brings_goes_out_in_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    chat = unhurried()
    async with listening(chat) as port, person(port, "alice") as alice, person(port, "bob") as bob:
        connection = next(c for c in chat._connections if str(c.session.member) == "bob")
        writes: list[bytes] = []

        class Spy:
            def write(self, data: bytes) -> None:
                writes.append(data)
                connection.transport.write(data)

            def is_closing(self) -> bool:
                return connection.transport.is_closing()

            def close(self) -> None:
                connection.transport.close()

        monkeypatch.setattr(connection.outbox, "_transport", Spy())
        await alice.type("one", "two", "three")
        await bob.sees("three")
        assert writes == [b"#lobby <alice> one\r\n#lobby <alice> two\r\n#lobby <alice> three\r\n"]


async def deaf(port: int, tls: ssl.SSLContext | None) -> Person:
    """Somebody with a tiny window who gives a name and then never reads."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    someone = Person(
        *await asyncio.open_connection(
            sock=sock,
            ssl=tls,
            server_hostname="localhost" if tls else None,
            limit=4_096,
        )
    )
    await someone.type("deaf")
    await someone.sees("* in #lobby")
    someone.writer.transport.pause_reading()  # type: ignore[attr-defined] # is a Transport
    return someone


@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
async def test_a_reader_who_is_too_slow_delays_nobody_and_is_dropped(
    tls: bool, tmp_path: Path
) -> None:
    server, client, _ = both_sides(tmp_path) if tls else (None, None, None)
    chat = unhurried(outbox=32_768)
    async with (
        listening(chat, server) as port,
        person(port, "alice", client) as alice,
        person(port, "bob", client) as bob,
    ):
        slow = await deaf(port, client)
        await bob.sees("* deaf joined #lobby")
        for number in range(10_000):  # far more than the kernel's buffers hold
            await alice.type(f"{number} {'x' * 2_000}")
            line = await bob.sees("")
            if "too slow" in line:
                break
            assert line.startswith(f"#lobby <alice> {number} ")
        assert line == "* deaf left (too slow)"
        assert number > 0
        await alice.sees("* deaf left (too slow)")
        await alice.type("/who")
        assert await alice.sees("in #lobby") == "* in #lobby: alice bob"
        assert len(chat._connections) == 2
        assert chat.figures()["chat_dropped_members_total"] == 1
        slow.writer.transport.abort()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_line": 0}, "--max-line is 0: it must be more than 0"),
        ({"rate": -1.0}, "--rate is -1.0: it must be more than 0"),
        ({"lobby": "the lobby"}, "--lobby 'the lobby' cannot name a room"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Chat(**settings)  # type: ignore[arg-type] # the table mixes types
