r"""A session in a file: JSON lines, to be read by people, `jq` or a test.

::

    {"netkit": "recording", "version": 1, "address": "tcp://…", "started": "2026-01-31T12:00:00Z"}
    {"at": 0.000213, "way": ">", "text": "hello\n"}
    {"at": 0.000845, "way": "<", "base64": "//4="}

``at`` is in seconds since the start, ``>`` is what we sent and ``<`` what came; a chunk is
``text`` where it is UTF-8, else ``base64``. The start is UTC.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

VERSION = 1


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes that went one way (``>`` sent, ``<`` received), `at` seconds after the start."""

    at: float
    way: str
    data: bytes


def header(address: str, started: datetime) -> str:
    """The first line, without its newline."""
    when = started.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return json.dumps(
        {"netkit": "recording", "version": VERSION, "address": address, "started": when}
    )


def line(chunk: Chunk) -> str:
    """A chunk's line, without its newline."""
    content: dict[str, str]
    try:
        content = {"text": chunk.data.decode()}
    except UnicodeDecodeError:
        content = {"base64": base64.b64encode(chunk.data).decode("ascii")}
    return json.dumps({"at": round(chunk.at, 6), "way": chunk.way, **content}, ensure_ascii=False)


def read(lines: Iterable[str]) -> Iterator[Chunk]:
    """Read a recording's chunks. Raises ValueError on what is none, or of another version."""
    rest = iter(lines)
    first = json.loads(next(rest, "null"))
    if not isinstance(first, dict) or first.get("netkit") != "recording":
        raise ValueError("not a recording of netkit connect")
    if first.get("version") != VERSION:
        raise ValueError(f"a recording of version {first.get('version')}; this reads {VERSION}")
    for text in rest:
        entry = json.loads(text)
        data = entry["text"].encode() if "text" in entry else base64.b64decode(entry["base64"])
        yield Chunk(entry["at"], entry["way"], data)
