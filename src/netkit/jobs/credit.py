"""Credit: how much each side may send of a job's data before the other has taken it.

As in HTTP/2 (RFC 9113, section 5.2) or SSH (RFC 4254, section 5.2): each job has its own, in
each direction, so one that nobody reads from holds up no other on the connection.
"""

from __future__ import annotations

import struct

from netkit.jobs.frames import FrameError

GRANT = struct.Struct("!I")
"""Bytes granted, in a CREDIT frame."""

MOST = 2**31 - 1
"""Bytes of credit that one may have; more granted than that is an error."""

LEAST_WINDOW, LARGEST_WINDOW = 1024, 16 * 1024 * 1024
"""Bytes that a HELLO may offer."""


class Allowance:
    """The sender's side: what may still be sent."""

    def __init__(self, window: int) -> None:
        self.left = window

    def grant(self, payload: bytes) -> None:
        """Hear a CREDIT frame. Raises `FrameError`."""
        if len(payload) != GRANT.size:
            raise FrameError(f"CREDIT: {len(payload)} bytes; {GRANT.size} are asked for")
        self.left += GRANT.unpack(payload)[0]
        if self.left > MOST:
            raise FrameError(f"CREDIT: more than {MOST} bytes in all")

    def take(self, size: int) -> None:
        """Send so many bytes, of those `left`."""
        self.left -= size


class Window:
    """The receiver's side: what may still come, and what of it was taken."""

    def __init__(self, window: int) -> None:
        self._window = self._expected = window
        self._taken = 0

    def arrived(self, size: int) -> None:
        """Receive so many bytes. Raises `FrameError` if they were not granted."""
        if size > self._expected:
            raise FrameError("more data than was granted by CREDIT")
        self._expected -= size

    def taken(self, size: int) -> bytes:
        """Hand on so many bytes; the payload of a CREDIT frame to send, or nothing yet."""
        self._taken += size
        if self._taken * 2 < self._window:  # fewer frames, and the sender need never wait
            return b""
        granted, self._taken = self._taken, 0
        self._expected += granted
        return GRANT.pack(granted)


def checked_window(window: int) -> int:
    """A window as a HELLO offers it. Raises `FrameError`."""
    if not LEAST_WINDOW <= window <= LARGEST_WINDOW:
        raise FrameError(f"HELLO window: {LEAST_WINDOW} to {LARGEST_WINDOW} bytes are allowed")
    return window
