r"""Bytes as people read them, one line for sixteen, and back.

::

    > 00000000  47 45 54 20 2f 0d 0a                              |GET /..|
    < 00000000  68 69 0a                                          |hi.|

``>`` is what we sent, ``<`` what came; each way counts its own bytes, in hex.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

WIDTH = 16
_PRINTABLE = bytes(code if 0x20 <= code < 0x7F else ord(".") for code in range(256))


def dump(data: bytes, *, way: str, offset: int = 0) -> Iterator[str]:
    """Yield the lines for `data`, whose first byte is number `offset` of its way."""
    for start in range(0, len(data), WIDTH):
        row = data[start : start + WIDTH]
        left, right = row[:8].hex(" "), row[8:].hex(" ")
        text = row.translate(_PRINTABLE).decode("ascii")
        yield f"{way} {offset + start:08x}  {left:<23}  {right:<23}  |{text}|"


def undump(lines: Iterable[str]) -> tuple[bytes, bytes]:
    """Read a dump back: what was sent, and what came. Raises ValueError on another text."""
    ways = {">": bytearray(), "<": bytearray()}
    for line in lines:
        way, _, rest = line.partition(" ")
        offset, _, columns = rest.partition("  ")
        if way not in ways or int(offset, 16) != len(ways[way]):
            raise ValueError(f"not the next line of a dump: {line!r}")
        ways[way] += bytes.fromhex(columns[: columns.index("|")])
    return bytes(ways[">"]), bytes(ways["<"])
