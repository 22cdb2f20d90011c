"""The clear part of a connection that will turn to TLS, without its socket.

Rules:

- A dialogue is fed with what has arrived and takes the bytes of one line, never one
  beyond it. What comes behind the line stays where it was, in the kernel.
- The line that asks for TLS is the last one taken. Bytes that are there behind it
  already are refused, unless a TLS handshake begins with them: a client has to wait
  for the reply, so they come from somebody between us and it, who wants them run as
  the client's own under TLS (CVE-2011-0411 and its kind). Whatever comes later can
  only be read by TLS.
- Nothing that a client says here is kept. The server behind TLS starts anew.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

MOST_LINES = 32
"""Commands in the clear. Programs need two to five; a person who tries things, some more."""

CLIENT_HELLO = b"\x16\x03"
"""How a TLS handshake begins: a handshake record, major version 3 (RFC 8446 section 5.1)."""

PIPELINED = "nothing may follow STARTTLS before the TLS handshake"

_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Reply:
    """What is said to the client, whole lines or nothing, and what comes then."""

    text: bytes
    then: Literal["listen", "handshake", "end"] = "listen"
    why: str = ""
    """Why it ends, for the log."""


class Dialogue(ABC):
    """One client's lines until STARTTLS. A subclass for each protocol."""

    longest: ClassVar[int]
    """Bytes of a line, with its end."""
    speaks_unasked: ClassVar[bool] = True
    """Whether a server may say goodbye without having been asked anything."""

    def __init__(self, host: str) -> None:
        self.host = host.encode("ascii", "replace")
        """What the server calls itself."""
        self._line = bytearray()
        self._heard = 0

    @property
    def wanted(self) -> int:
        """How many more bytes can belong to the line, at most."""
        return self.longest - len(self._line)

    def feed(self, data: bytes) -> tuple[int, Reply | None]:
        """Take what belongs to the current line: how many bytes, and the reply once it is whole.

        After a reply that does not go on listening the dialogue is of no more use.
        """
        end = data.find(b"\n", 0, self.wanted) + 1
        taken = end or min(len(data), self.wanted)
        self._line += data[:taken]
        if not end:
            return taken, None if self.wanted else self._ending("line too long")
        line = bytes(self._line.removesuffix(b"\n").removesuffix(b"\r"))
        self._line.clear()
        self._heard += 1
        if self._heard > MOST_LINES:
            return taken, self._ending("too many commands before STARTTLS")
        if _CONTROL.search(line):  # a lone CR too, at which others see the end of a line
            return taken, self.malformed()
        return taken, self.answer(line.strip(b" "))

    def switch(self, reply: Reply, behind: bytes) -> Reply:
        """Return what is said to STARTTLS, given the first bytes that are there behind it."""
        if CLIENT_HELLO.startswith(behind[: len(CLIENT_HELLO)]):
            return reply
        return Reply(self.refusal(PIPELINED), "end", "bytes behind STARTTLS in the clear")

    def _ending(self, why: str) -> Reply:
        return Reply(self.goodbye(why), "end", why)

    @abstractmethod
    def welcome(self) -> bytes:
        """Return what the server says first, unasked."""

    @abstractmethod
    def answer(self, line: bytes) -> Reply:
        """Answer a command, which has come without its end of line and control characters."""

    @abstractmethod
    def malformed(self) -> Reply:
        """Answer a line that no client sends."""

    @abstractmethod
    def refusal(self, why: str) -> bytes:
        """Return the error in answer to STARTTLS, after which the connection ends."""

    @abstractmethod
    def goodbye(self, why: str) -> bytes:
        """Return the last words of a connection that ends before STARTTLS."""


def verb(line: bytes) -> tuple[bytes, bytes]:
    """A line's first word in capitals, and the rest."""
    word, _, rest = line.partition(b" ")
    return word.upper(), rest.strip(b" ")
