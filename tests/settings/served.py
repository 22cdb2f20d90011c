"""A service with a setting of every kind."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from netkit import Service


@dataclass
class Every(Service):
    """Every kind of setting."""

    word: str = ""
    words: tuple[str, ...] = ()
    wordless: str | None = None
    number: int = 0
    numbers: tuple[int, ...] = ()
    share: float = 0.0
    shares: tuple[float, ...] = ()
    shareless: float | None = None
    on: bool = False
    off: bool = True
    path: Path | None = None
    paths: tuple[Path, ...] = ()
    colour: Literal["red", "green"] = "red"
    pass_phrase: str | None = field(default=None, metadata={"secret": True, "help": "hush"})
    api_token: str = ""
