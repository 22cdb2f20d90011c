"""Bytes into lines, whatever a peer sends and however it is cut. No I/O.

A line ends at LF; a CR before it is dropped with the other control characters later.
A line longer than the limit is reported once and skipped to its end, so that a peer
that never ends its line costs no memory. Telnet's commands (RFC 854) are taken out: the
byte that begins them, 255, has no place in UTF-8.
"""

from __future__ import annotations

import re
from enum import Enum

# The bound on a sub-negotiation is far above what clients send (terminal types, sizes);
# without its end within that, its first two bytes alone are taken as the command.
TELNET = re.compile(
    rb"""\xff (?:
        (?P<verb> [\xfb-\xfe] ) (?P<option> . )          # WILL, WONT, DO, DONT
      | \xfa (?: [^\xff] | \xff\xff ){0,256}+ \xff\xf0    # SB ... IAC SE
      | (?P<cut> [\xfb-\xfe]? | \xfa (?: [^\xff] | \xff\xff ){0,256}+ \xff? ) \Z
      | [^\xfb-\xfe]                                     # any other: two bytes
    )""",
    re.VERBOSE | re.DOTALL,
)
REFUSALS = {b"\xfb": b"\xfe", b"\xfd": b"\xfc"}  # WILL: DONT, DO: WONT


class TooLong(Enum):
    """Stands where a line was longer than the limit."""

    LINE = "too long"


class Framing:
    """The lines in one peer's bytes; holds at most one line and one telnet command."""

    def __init__(self, limit: int) -> None:
        """`limit` is a line's longest length in bytes, without its end."""
        self.limit = limit
        self.answer = b""
        """Telnet refusals to send; the caller takes them and empties this."""
        self._line = b""
        self._cut = b""
        self._skipping = False

    def feed(self, data: bytes) -> list[bytes | TooLong]:
        """Return the lines that `data` ends."""
        if self._cut or 0xFF in data:
            data = self._without_telnet(data)
        *ended, rest = data.split(b"\n")
        if ended:
            ended[0] = self._line + ended[0]
            self._line = b""
            if self._skipping:
                del ended[0]
                self._skipping = False
        lines = [line if len(line) <= self.limit else TooLong.LINE for line in ended]
        if not self._skipping:
            self._line += rest
        if len(self._line) > self.limit:
            lines.append(TooLong.LINE)
            self._line = b""
            self._skipping = True
        return lines

    def finish(self) -> list[bytes | TooLong]:
        """Return the line that the end of input ended, if there was one."""
        return self.feed(b"\n") if self._line else []

    def _without_telnet(self, data: bytes) -> bytes:
        """Take telnet commands out and refuse every option.

        A refusal is owed: the usual telnet client shows nothing after Ctrl-C until
        its DO TIMING-MARK is answered.
        """
        answer = bytearray()
        cut = b""

        def replace(found: re.Match[bytes]) -> bytes:
            nonlocal cut
            if found["cut"] is not None:
                cut = found[0]
            elif found["verb"] in REFUSALS:
                answer.extend(b"\xff" + REFUSALS[found["verb"]] + found["option"])
            return b""

        data = TELNET.sub(replace, self._cut + data)
        self._cut = cut
        self.answer += bytes(answer)
        return data
