"""The first words of a server behind us, which its client has heard from us already.

A terminator that did the clear part itself connects to the plain server behind it only
after the switch. That server greets as if nothing had been; under TLS a client expects no
second greeting and would take it for the answer to its first command.
"""

from __future__ import annotations

LONGEST = 8192
"""Bytes of a greeting; SMTP's may have several lines of 512."""

WELCOMES = {"imap": b"* OK", "irc": b"", "pop3": b"+OK", "smtp": b"220"}


class WrongGreetingError(Exception):
    """The server does not welcome anybody; the message quotes it, in one line."""


class Greeting:
    """One greeting of a server.

    Until it is `over` nothing may be sent to the server: one that is not ready may drop
    whoever speaks before it. From then on, what it says is for the client.
    """

    def __init__(self, protocol: str) -> None:
        self._protocol = protocol
        self._held = bytearray()
        self.over = not WELCOMES[protocol]
        """Whether it is complete; an IRC server waits for the client, so its is from the start."""

    def feed(self, data: bytes) -> None:
        """Take what the server has said.

        Raises `WrongGreetingError` if that is no welcome, is longer than `LONGEST` bytes or
        goes on behind the greeting, though nobody has asked. So nothing is ever left over.
        """
        self._held += data
        end = self._end()
        if end:
            self._check(bytes(self._held[:end]).rstrip(b"\r\n"))
        if len(self._held) > (end or LONGEST):
            raise WrongGreetingError("it says more than its greeting")
        self.over = bool(end)

    def _check(self, greeting: bytes) -> None:
        # IMAP's PREAUTH is no welcome either: its client would not know that it is logged in.
        if not greeting.startswith(WELCOMES[self._protocol]):
            raise WrongGreetingError(f"it greets with {greeting[:80]!r}")

    def _end(self) -> int:
        """Where the greeting ends; 0 if that is not here yet."""
        start = 0
        while end := self._held.find(b"\n", start) + 1:
            if self._protocol != "smtp" or self._held[start + 3 : start + 4] != b"-":
                return end
            start = end
        return 0
