r"""A feed in a file, one line of JSON for each datagram: a listener writes it, a sender replays it.

::

    {"time": "2026-01-01T00:00:00.250000000Z", "sender": "1a2b3c4d", "sequence": 2, "base64": "…"}

``time`` is when it was sent (RFC 3339, UTC, to the nanosecond: as a number most readers of
JSON would round it). A datagram of a feed without headers has neither sender nor sequence,
and its time is when it came. A reader ignores other keys and takes ``payload``, a text, in
place of ``base64``: so lines of ``netkit listen --json`` can be read too, and lines that
somebody wrote by hand. Each line stands for itself: files can be cut and joined.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

LONGEST = 128 * 1024
"""Bytes of the longest line that is written: 64 KiB of payload in base64, and the rest."""

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z", re.ASCII)
_SENDER = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class Record:
    """One datagram, as a line tells of it."""

    time: int
    """Nanoseconds of Unix time at which it was sent; without a header, at which it came."""
    payload: bytes
    sender: int | None = None
    """None of both: it had no header."""
    sequence: int | None = None


def line(record: Record) -> bytes:
    """A record's line, with its newline."""
    content: dict[str, object] = {"time": timestamp(record.time)}
    if record.sender is not None:
        content |= {"sender": f"{record.sender:08x}", "sequence": record.sequence}
    content["base64"] = base64.b64encode(record.payload).decode("ascii")
    return json.dumps(content).encode() + b"\n"


def parse(text: bytes | str) -> Record:
    """Read a line. Raises `ValueError`, which says in a few words what is wrong with it."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    if not isinstance(content, dict):
        raise ValueError("it is not an object: write {…}")
    return Record(
        time=nanoseconds(content.get("time")),
        payload=_payload(content),
        sender=_sender(content.get("sender")),
        sequence=_sequence(content.get("sequence")),
    )


def timestamp(time: int) -> str:
    """Nanoseconds of Unix time, 64 bits, as text: ``2026-01-01T00:00:00.250000000Z``."""
    seconds, rest = divmod(time, 1_000_000_000)
    return f"{_second(seconds)}.{rest:09}Z"


def nanoseconds(text: object) -> int:
    """The reverse of `timestamp`; a fraction may have fewer digits. Raises `ValueError`."""
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError('it has no "time" such as "2026-01-01T00:00:00.25Z"')
    try:
        seconds = datetime.fromisoformat(match[1]).replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise ValueError(f'there is no "time" {match[0]}') from None
    return int(seconds) * 1_000_000_000 + int((match[2] or "").ljust(9, "0"))


# The datagrams of one second share it: making it takes longer than all the rest of a line.
@lru_cache(maxsize=16)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _payload(content: dict[str, Any]) -> bytes:
    match content:
        case {"base64": str(text)}:
            try:
                return base64.b64decode(text, validate=True)
            except ValueError:
                raise ValueError('its "base64" is none') from None
        case {"payload": str(text)}:
            try:
                return text.encode()
            except UnicodeEncodeError:  # half of a pair of \u escapes
                raise ValueError('its "payload" has characters that are none') from None
    raise ValueError('it has neither "base64" nor "payload"')


def _sender(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, str) and _SENDER.fullmatch(value):
        return int(value, 16)
    raise ValueError('its "sender" is not eight digits of 0 to 9 and a to f')


def _sequence(value: object) -> int | None:
    # bool is an int to Python, not to JSON.
    if value is None or (type(value) is int and 0 <= value < 1 << 64):
        return value
    raise ValueError('its "sequence" is not a whole number')
