"""What a session has of its connection, and a connection of its session."""

from __future__ import annotations

from typing import Protocol

from netkit.servers.runner.callers import Caller


class Speaker(Protocol):
    """A connection, as its session sees it."""

    caller: Caller | None
    peer: str
    paused: bool
    """Whether the client takes less than it is given: then output has to wait."""
    closing: bool

    def write(self, data: bytes) -> None:
        """Send."""

    def finish(self) -> None:
        """Close when all is sent."""


class Session(Protocol):
    """A session, as its connection sees it."""

    def received(self, data: bytes) -> None:
        """Hear what came."""

    def ended(self) -> bool:
        """Hear that no more comes; whether there is still something to say."""

    def writable(self) -> None:
        """Hear that more may be sent."""

    def lost(self) -> None:
        """Hear that the connection is gone."""

    def refuse_all(self) -> None:
        """Say that nobody vouches for this client, and close."""
