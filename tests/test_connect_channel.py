"""netkit connect's channels on real sockets."""

from __future__ import annotations

import asyncio
import select
import socket
import struct

import pytest

from netkit.clients.connect.channel import StreamChannel


async def test_ending_to_send_after_a_reset_leaves_the_news_to_reading() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        loop = asyncio.get_running_loop()
        _, channel = await loop.create_connection(StreamChannel, *listener.getsockname())
        peer, _ = listener.accept()
        peer.send(b"last words")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        # The loop does not turn until the reset is there, so it cannot have read of it.
        until = select.poll()
        until.register(channel.transport.get_extra_info("socket").fileno(), select.POLLHUP)
        assert until.poll()
        channel.end_sending()
        assert await channel.read() == b"last words"
        with pytest.raises(ConnectionResetError):
            await channel.read()
        await channel.abort()
