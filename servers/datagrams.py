"""How the small services answer datagrams: once, briefly, and never each other.

A datagram comes from whoever it says it comes from, so an answer may hit a stranger
who asked for nothing. All decisions against that live here:

1. No loops. A datagram from a port below 1024, from one of netkit's own small
   services, or from the very port it was sent to is a server's answer, not a
   client's question; one forged datagram would otherwise keep two servers
   answering each other for ever (CERT CA-1996-01).
2. No amplification. An answer is no longer than its question, and what is longer
   is cut, unless the operator asks for whole answers.
3. No queue. While the socket takes no more, answers are dropped, as UDP may.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, cast

BASE_PORT: Final = 8000
"""netkit serves a small service on this port plus its well-known one: echo, 7, on 8007."""
ANSWERING_PORTS: Final = frozenset(BASE_PORT + known for known in (7, 13, 17, 19, 37))
FIRST_CLIENT_PORT: Final = 1024
WHOLE_ANSWER: Final = 512
"""Longest answer in bytes, of which RFC 864 and RFC 865 let a datagram carry so many."""

Answer = Callable[[int], bytes]
"""Gives an answer for a question of so many bytes' room; ``b""`` is silence."""


def is_question(sender_port: int, own_port: int) -> bool:
    """Tell whether a datagram from `sender_port` may be answered without feeding a loop."""
    return (
        sender_port >= FIRST_CLIENT_PORT
        and sender_port != own_port
        and sender_port not in ANSWERING_PORTS
    )


class Answering(asyncio.DatagramProtocol):
    """Answers each question with `answer(room)`, cut to the room that the question leaves.

    The room is the question's length in bytes, or with `amplify` `WHOLE_ANSWER`.
    """

    transport: asyncio.DatagramTransport

    def __init__(self, answer: Answer, *, amplify: bool) -> None:
        self.answer = answer
        self.amplify = amplify
        self.paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, and the port that is ours."""
        self.transport = cast("asyncio.DatagramTransport", transport)
        self.own_port: int = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """Answer one datagram, or drop it by the rules above."""
        if self.paused or not is_question(addr[1], self.own_port):
            return
        room = WHOLE_ANSWER if self.amplify else min(len(data), WHOLE_ANSWER)
        if answer := self.answer(room)[:room]:
            self.transport.sendto(answer, addr)

    def pause_writing(self) -> None:
        """Drop answers from here on: the socket takes no more."""
        self.paused = True

    def resume_writing(self) -> None:
        """Answer again."""
        self.paused = False
