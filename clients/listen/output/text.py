"""Payloads as lines."""

from __future__ import annotations

from dataclasses import dataclass

from netkit.clients.listen.message import Message


@dataclass(frozen=True, slots=True)
class Text:
    """The payload, and behind it `end`: a newline, NUL for ``xargs -0``, or nothing.

    A payload that ends in a newline of its own gets no second one.
    """

    end: bytes = b"\n"

    def __call__(self, message: Message) -> bytes:
        """As it is written, unchanged: to make it harmless on a terminal is the writer's part."""
        payload, end = message.payload, self.end
        return payload if end == b"\n" and payload.endswith(b"\n") else payload + end
