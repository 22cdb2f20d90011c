"""What others said, made fit for one line of a terminal."""

from __future__ import annotations

from netkit.clients.connect.text import Harmless


def printable(text: str) -> str:
    """`text` in one line, with nothing in it that a terminal would obey."""
    line = " ".join(text.split())
    return Harmless()(line.encode(errors="replace")).decode()
