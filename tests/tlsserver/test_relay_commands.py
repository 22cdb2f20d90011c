"""Commands as upstreams: standard input and output joined to the connection."""

from __future__ import annotations

import asyncio
import hashlib
import shlex
import sys
from pathlib import Path

import pytest

from tests.tlsserver.relayed import Client, hear, relaying, why


def python(program: str) -> str:
    return f"exec:{shlex.join([sys.executable, '-c', program])}"


async def test_all_of_it_and_its_end() -> None:
    async with relaying("exec:sort") as server:
        client = await Client.connect(server)
        await client.send(b"b\nc\na\n")
        await client.end()
        assert await client.rest() == b"a\nb\nc\n"
        client.close()
        await server.connections.emptied()


async def test_a_command_that_ends_first() -> None:
    async with relaying("exec:echo hello") as server:
        client = await Client.connect(server)
        assert await client.rest() == b"hello\n"
        await client.end()
        client.close()
        await server.connections.emptied()


async def test_much_both_ways() -> None:
    size, block = 16 * 1024 * 1024, bytes(range(256)) * 256
    async with relaying("exec:cat") as server:
        client = await Client.connect(server)

        async def send() -> None:
            for _ in range(size // len(block)):
                await client.send(block)
            await client.end()

        sending = asyncio.create_task(send())
        got = hashlib.sha256()
        while data := await client.read():
            got.update(data)
        await sending
        assert got.digest() == hashlib.sha256(block * (size // len(block))).digest()
        client.close()
        await server.connections.emptied()


async def test_the_client_is_gone(tmp_path: Path) -> None:
    told = tmp_path / "told"
    program = (
        "import signal, sys, pathlib\n"
        f"signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path({str(told)!r})"
        ".write_text('TERM'), sys.exit()))\n"
        "print('ready', flush=True)\n"
        "signal.pause()\n"
    )
    async with relaying(python(program)) as server:
        client = await Client.connect(server)
        assert await client.exactly(6) == b"ready\n"
        client.reset()
    assert told.read_text() == "TERM"


async def test_no_such_command(caplog: pytest.LogCaptureFixture) -> None:
    hear(caplog)
    async with relaying("exec:/no/such/program") as server:
        client = await Client.connect(server)
        assert await client.rest() == b""
        await client.end()
        client.close()
        assert await why(server, caplog) == (
            "no upstream: exec:/no/such/program: /no/such/program: No such file or directory"
        )


async def test_one_that_reads_nothing() -> None:
    program = python("import signal; print(1, flush=True); signal.pause()")
    # Who is not read from is not seen to leave: the end of the grace period ends it.
    async with relaying(program, grace=0.2) as server:
        client = await Client.connect(server)
        assert await client.exactly(2) == b"1\n"
        filling = asyncio.create_task(client.send(bytes(64 * 1024 * 1024)))
        (relay,) = server.connections.open.values()
        while relay.transport.is_reading():
            await asyncio.sleep(0.001)  # a turn of the loop that burns nothing
        (departure,) = (
            each
            for each in server.service._relays._ends  # type: ignore[attr-defined]  # the relay's own
            if each.transport is not relay.transport
        )
        assert 65_536 < departure.transport.get_write_buffer_size() <= 65_536 + 8 * 16_384
        filling.cancel()
        await asyncio.gather(filling, return_exceptions=True)
        client.reset()


async def test_it_hears_who_the_client_is() -> None:
    async with relaying("exec:head -c 12", send_proxy="v1") as server:
        client = await Client.connect(server)
        assert await client.rest() == b"PROXY TCP4 1"
        await client.end()
        client.close()
        await server.connections.emptied()
