"""Lines or records out of a stream of bytes.

A line ends with LF, or with CR LF; neither is sent. A record begins with its length,
4 bytes in network byte order. Both are bounded: what is longer could not be sent whole, so
it ends the source, with where it stood.
"""

from __future__ import annotations

from typing import Literal

from netkit.errors import UsageError

Framing = Literal["lines", "records"]

PREFIX = 4
"""Bytes of a record's length."""


class TooLongError(UsageError):
    """A line or record that does not fit into a datagram."""

    def __init__(self, what: str, number: int, limit: int) -> None:
        super().__init__(
            f"{what} {number} is longer than the {limit} bytes of a datagram: "
            "send less at once, or raise --max-size (larger ones are fragmented by IP)"
        )


class Lines:
    """Splits a stream into lines; feed it, it gives those that are whole."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._rest = b""
        self._count = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that end in `data`. Raises `TooLongError`."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        lines = [line.removesuffix(b"\r") for line in lines]
        # The rest may yet be followed by CR LF.
        if any(len(line) > self._longest for line in lines) or len(self._rest) > self._longest + 1:
            self._refuse(lines)
        self._count += len(lines)
        return lines

    def end(self) -> list[bytes]:
        """The last line, if the stream did not end with LF."""
        last, self._rest = self._rest, b""
        if len(last) > self._longest:
            self._refuse([last])
        return [last] if last else []

    def _refuse(self, lines: list[bytes]) -> None:
        for number, line in enumerate(lines, self._count + 1):
            if len(line) > self._longest:
                raise TooLongError("line", number, self._longest)
        raise TooLongError("line", self._count + len(lines) + 1, self._longest)


class Records:
    """Splits a stream into records; feed it, it gives those that are whole."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._rest = b""
        self._count = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The records that end in `data`. Raises `TooLongError`."""
        held = self._rest + data
        records: list[bytes] = []
        start = 0
        while len(held) - start >= PREFIX:
            size = int.from_bytes(held[start : start + PREFIX])
            if size > self._longest:
                raise TooLongError("record", self._count + 1, self._longest)
            end = start + PREFIX + size
            if end > len(held):
                break
            records.append(held[start + PREFIX : end])
            self._count += 1
            start = end
        self._rest = held[start:]
        return records

    def end(self) -> list[bytes]:
        """Nothing; raises `UsageError` if a record was cut off."""
        if self._rest:
            raise UsageError(f"record {self._count + 1} ends in the middle: the input was cut off")
        return []


def framer(framing: Framing, longest: int) -> Lines | Records:
    """What splits a stream of this kind into payloads of at most `longest` bytes."""
    return Lines(longest) if framing == "lines" else Records(longest)
