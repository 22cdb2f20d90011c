"""What is in frames that are not plain data: JSON objects, read strictly.

Strictly: a key that is unknown, missing or there twice, a value of another type, NaN, and text
that is no Unicode (a lone surrogate) are errors. So nobody can slip in what the other
side would read in another way.
"""

from __future__ import annotations

import dataclasses
import json
import re
import struct
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar, get_args, get_origin

from netkit.jobs.frames import FrameError

M = TypeVar("M")

SIZE = struct.Struct("!HH")
"""Rows and columns, in a SIZE frame."""

SIGNALS = ("HUP", "INT", "QUIT", "KILL", "USR1", "USR2", "TERM")
"""What a SIGNAL frame may name: what ends a program or tells it something, not what stops it."""


@dataclass(frozen=True)
class Hello:
    """HELLO, either way: the versions that one knows (the server: the one it has chosen)."""

    versions: tuple[int, ...]
    window: int = 256 * 1024
    """Bytes that the other may send for each job before it is granted more."""
    software: str = ""


@dataclass(frozen=True)
class Terminal:
    """A terminal that is asked for."""

    rows: int
    columns: int
    name: str = ""
    """What TERM is to be."""


@dataclass(frozen=True)
class Start:
    """START: run the command of this name."""

    name: str
    arguments: tuple[str, ...] = ()
    """Values for its parameters, in the order in which the server lists them."""
    named: Mapping[str, str] = field(default_factory=dict)
    """Values by the parameter's name."""
    stdin: bool = False
    """Whether there will be input."""
    detach: bool = False
    """Whether the job is to go on without us."""
    terminal: Terminal | None = None


@dataclass(frozen=True)
class Queued:
    """QUEUED: it has to wait for others."""

    ahead: int
    """How many wait before it."""
    id: str
    """By which others find it, if it is detached."""


@dataclass(frozen=True)
class Started:
    """STARTED: it runs, or ran; output follows."""

    id: str
    """By which others find it, if it is detached."""
    stdin: bool = False
    """Whether input is taken."""


@dataclass(frozen=True)
class Exit:
    """EXIT: its end, as the kernel told it; nothing more comes of this job."""

    status: int | None
    signal: int | None
    reason: str
    """exit, timeout, killed, output, not started, lost."""
    seconds: float
    user: float | None = None
    """Seconds of CPU, here and in `system`."""
    system: float | None = None
    max_rss: int | None = None
    """Bytes of memory at most."""
    error: str = ""


@dataclass(frozen=True)
class Error:
    """ERROR: for a job, that it will not be; for the connection (job 0), that it ends."""

    code: str
    message: str


@dataclass(frozen=True)
class Listed:
    """LISTED: one detached job of the caller's; a frame without payload ends the list."""

    id: str
    name: str
    state: str
    """queued, running or ended."""
    began: float
    """Seconds of Unix time."""
    watchers: int
    output: int
    """Bytes that it has written."""
    status: int | None = None
    signal: int | None = None


@dataclass(frozen=True)
class Attach:
    """ATTACH: hear a detached job from the beginning of what is still held of it."""

    id: str


@dataclass(frozen=True)
class Kill:
    """KILL: end a detached job; answered by its EXIT."""

    id: str


def encode(message: Any) -> bytes:
    """A message as a payload; what is as it is by default is left out."""
    told = {}
    for each in dataclasses.fields(message):
        value = getattr(message, each.name)
        default = each.default
        if each.default_factory is not dataclasses.MISSING:
            default = each.default_factory()
        if value != default:
            told[each.name] = dataclasses.asdict(value) if _is_message(type(value)) else value
    return json.dumps(told, separators=(",", ":")).encode()


def decode(cls: type[M], payload: bytes) -> M:
    """The message in a payload. Raises `FrameError`."""
    try:
        told = json.loads(
            payload.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number
        )
        message: M = _read(cls, told, cls.__name__.upper())
    except FrameError:
        raise
    except (ValueError, RecursionError) as error:
        why = "lists within lists" if isinstance(error, RecursionError) else error
        raise FrameError(f"{cls.__name__.upper()}: not the JSON that is asked for: {why}") from None
    return message


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    told = dict(pairs)
    if len(told) != len(pairs):
        raise ValueError("a key stands there twice")
    return told


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _is_message(kind: Any) -> bool:
    return isinstance(kind, type) and dataclasses.is_dataclass(kind)


@cache
def _hints(cls: type) -> Mapping[str, Any]:
    return typing.get_type_hints(cls)


def _read(cls: Any, told: Any, where: str) -> Any:
    if not isinstance(told, dict):
        raise FrameError(f"{where}: an object is asked for")
    known = {each.name: each for each in dataclasses.fields(cls)}
    for key in told:
        if key not in known:
            raise FrameError(f"{where}: unknown key {key[:40]!r}")
    for name, each in known.items():
        optional = each.default is not dataclasses.MISSING
        if name not in told and not optional and each.default_factory is dataclasses.MISSING:
            raise FrameError(f"{where}: {name} is missing")
    kinds = _hints(cls)
    return cls(**{key: _value(kinds[key], value, f"{where} {key}") for key, value in told.items()})


def _value(kind: Any, value: Any, where: str) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is types.UnionType:
        return None if value is None else _value(inner[0], value, where)
    if origin is tuple and isinstance(value, list):
        return tuple(_value(inner[0], each, where) for each in value)
    if origin is Mapping and isinstance(value, dict):
        return {_text(key, where): _value(inner[1], each, where) for key, each in value.items()}
    if _is_message(kind):
        return _read(kind, value, where)
    if kind is float and type(value) is int and abs(value) < 2**53:
        value = float(value)
    if type(value) is not kind:
        raise FrameError(f"{where}: a value of the wrong type")
    return _text(value, where) if kind is str else value


_SURROGATE = re.compile("[\ud800-\udfff]")


def _text(value: str, where: str) -> str:
    if _SURROGATE.search(value):
        raise FrameError(f"{where}: text that is no Unicode")
    return value
