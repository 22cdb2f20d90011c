"""Our side of a session, as the session needs it."""

from __future__ import annotations

from typing import Protocol


class Local(Protocol):
    """What a session has on our side: standard streams, or a terminal with line editing."""

    async def read(self, size: int) -> bytes:
        """Wait for input; empty at its end. Raises `UsageError` when it cannot be read."""

    async def write(self, data: bytes) -> None:
        """Write all of it. Raises `netkit.stdio.OutputClosedError`, `NetkitError`."""

    async def note(self, text: str) -> None:
        """Write a remark, such as a hex dump, beside the data."""
