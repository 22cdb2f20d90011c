"""How relays end, on real sockets: what both sides have sent is what both have got."""

from __future__ import annotations

import asyncio
import hashlib
import ssl

import pytest

from tests.tlsserver.relayed import Client, both_ends, figure, hear, relaying, upstream, why

ANSWER = bytes(range(256)) * 400


async def test_both_ways_at_once() -> None:
    async with upstream() as served, relaying(served.to) as server:
        client = await Client.connect(server)
        await client.send(b"question")
        there = await served.accept()
        assert await there.until(8) == b"question"
        there.transport.write(ANSWER)
        assert await client.exactly(len(ANSWER)) == ANSWER
        assert figure(server, "tls_upstream_connections") == 1
        client.close()
        await there.lost.wait()


async def test_the_client_ends_first(caplog: pytest.LogCaptureFixture) -> None:
    hear(caplog)
    async with upstream() as served, relaying(served.to) as server:
        client = await Client.connect(server)
        await client.send(b"question")
        await client.end()
        there = await served.accept()
        await there.ended.wait()
        assert there.got == b"question"
        there.transport.write(ANSWER)  # the other direction goes on
        there.end()
        assert await client.rest() == ANSWER
        client.close()
        await there.lost.wait()
        assert there.error is None
        assert (await why(server, caplog)).startswith("closed by ")


async def test_the_upstream_ends_first(caplog: pytest.LogCaptureFixture) -> None:
    hear(caplog)
    async with upstream() as served, relaying(served.to) as server:
        client = await Client.connect(server)
        there = await served.accept()
        there.transport.write(ANSWER)
        there.end()
        assert await client.rest() == ANSWER
        for place in range(0, len(ANSWER), 1000):  # the other direction goes on
            await client.send(ANSWER[place : place + 1000])
        await client.end()
        await there.ended.wait()
        assert there.got == ANSWER
        await there.lost.wait()
        assert there.error is None
        client.close()
        await server.connections.emptied()


async def test_the_client_ends_before_it_has_an_upstream() -> None:
    async with upstream() as served, relaying(served.to) as server:
        client = await Client.connect(server)
        await client.send(b"all of it")
        await client.end()
        there = await served.accept()
        await there.ended.wait()
        assert there.got == b"all of it"
        there.end()
        assert await client.rest() == b""
        client.close()


async def test_without_close_notify(caplog: pytest.LogCaptureFixture) -> None:
    hear(caplog)
    async with upstream() as served, relaying(served.to) as server:
        client = await Client.connect(server)
        await client.send(ANSWER)
        there = await served.accept()
        client.end_rudely()
        await there.ended.wait()
        assert there.got == ANSWER
        assert await why(server, caplog) == (
            "the client ended without close_notify: it may have been cut off"
        )
        there.transport.write(ANSWER)  # for nobody
        there.end()
        await there.lost.wait()
        assert there.error is None
        client.close()


async def test_the_client_resets(caplog: pytest.LogCaptureFixture) -> None:
    hear(caplog)
    async with upstream() as served, relaying(served.to) as server:
        client = await Client.connect(server)
        await client.send(b"question")
        there = await served.accept()
        assert await there.until(8) == b"question"
        there.transport.write(ANSWER)
        assert await client.exactly(len(ANSWER)) == ANSWER
        client.reset()
        await there.lost.wait()
        assert isinstance(there.error, ConnectionResetError)
        assert there.got == b"question"
        assert await why(server, caplog) == "reset by peer"


async def test_the_upstream_resets(caplog: pytest.LogCaptureFixture) -> None:
    hear(caplog)
    async with upstream() as served, relaying(served.to) as server:
        client = await Client.connect(server)
        await client.send(b"question")
        there = await served.accept()
        assert await there.until(8) == b"question"
        there.transport.write(ANSWER)
        assert await client.exactly(len(ANSWER)) == ANSWER
        there.reset()
        assert await client.cut_off() == b""
        client.close()
        end = await why(server, caplog)
        assert end.startswith(f"upstream {served.to} was lost: ")
        assert "reset" in end


async def test_what_came_before_a_reset_is_handed_over() -> None:
    size = 16 * 1024 * 1024
    async with upstream() as served, relaying(served.to) as server:
        client = await Client.connect(server, receive=4096)
        there = await served.accept()
        there.transport.write(bytes(size))
        near, _ = await both_ends(server)
        while (held := near.get_write_buffer_size()) < 65_536:
            await asyncio.sleep(0)  # a turn of the loop
        there.reset()
        got = await client.cut_off()
        assert held <= len(got) <= size
        client.close()
        await server.connections.emptied()


async def test_a_record_byte_by_byte() -> None:
    data = ANSWER[:16_384]
    async with upstream() as served, relaying(served.to) as server:
        client = await Client.connect(server)
        await client.send_byte_by_byte(data)
        there = await served.accept()
        assert await there.until(len(data)) == data
        there.transport.write(data)
        assert await client.exactly(len(data)) == data
        await client.end()
        await there.ended.wait()
        there.end()
        assert await client.rest() == b""
        client.close()


async def test_an_upstream_that_never_reads() -> None:
    async with upstream() as served, relaying(served.to) as server:
        client = await Client.connect(server)
        there = await served.accept()
        there.transport.pause_reading()
        filling = asyncio.create_task(client.send(bytes(64 * 1024 * 1024)))
        near, far = await both_ends(server)
        while near.is_reading():
            await asyncio.sleep(0)  # a turn of the loop
        # One write buffer over its mark, by no more than was read at a time.
        assert 65_536 < far.get_write_buffer_size() <= 65_536 + 8 * 16_384
        assert near.get_write_buffer_size() == 0
        there.transport.resume_reading()
        await filling
        assert len(await there.until(64 * 1024 * 1024)) == 64 * 1024 * 1024
        client.close()
        await there.lost.wait()


async def test_a_client_that_never_reads() -> None:
    async with upstream() as served, relaying(served.to) as server:
        client = await Client.connect(server)
        there = await served.accept()
        there.transport.write(bytes(64 * 1024 * 1024))
        near, far = await both_ends(server)
        while far.is_reading():
            await asyncio.sleep(0)  # a turn of the loop
        assert 65_536 < near.get_write_buffer_size() <= 65_536 + 256 * 1024
        assert far.get_write_buffer_size() == 0
        assert len(await client.exactly(64 * 1024 * 1024)) == 64 * 1024 * 1024
        client.close()
        await there.lost.wait()


async def test_much_both_ways() -> None:
    size, chunk = 64 * 1024 * 1024, 1024 * 1024
    there_sent, here_sent = hashlib.sha256(), hashlib.sha256()
    there_got, here_got = hashlib.sha256(), hashlib.sha256()

    async def far(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(chunk):
            there_got.update(data)
            there_sent.update(data[::-1])
            writer.write(data[::-1])
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    listening = await asyncio.start_server(far, "127.0.0.1", 0)
    to = f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    async with listening, relaying(to) as server:
        client = await Client.connect(server)

        async def send() -> None:
            for number in range(size // chunk):
                data = number.to_bytes(4) * (chunk // 4)
                here_sent.update(data)
                await client.send(data)
            await client.end()

        async def receive() -> int:
            taken = 0
            while data := await client.read():
                here_got.update(data)
                taken += len(data)
            return taken

        _, taken = await asyncio.gather(send(), receive())
        client.close()
        assert taken == size
        assert here_sent.digest() == there_got.digest()
        assert there_sent.digest() == here_got.digest()
        await server.connections.emptied()


async def test_the_peer_of_a_secured_end_knows_that_it_was_cut_off() -> None:
    async with upstream() as served, relaying(served.to) as server:
        client = await Client.connect(server)
        there = await served.accept()
        there.transport.write(b"half an ans")
        assert await client.exactly(11) == b"half an ans"
        there.reset()
        with pytest.raises((ssl.SSLEOFError, ConnectionResetError)):
            await client.read()
        client.close()
