"""What is compared with what: each netkit server beside its plain twin, and two yardsticks."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load import BUILD, compiled

# High enough to be no obstacle, so that what is measured is that they are on.
LIMITS = ["--limit-connections", "20000"]


@dataclass(frozen=True)
class Pair:
    """A plain server and netkit's server for the same API on the same loop."""

    name: str
    plain: list[str | Path]
    netkit: list[str | Path]


def pair(api: str, loop: str) -> Pair:
    """`api` is streams or protocol, `loop` asyncio or uvloop."""
    module = f"benchmarks.peers.{api}"
    target = {
        "protocol": ["echo", "--api", "protocol"],
        "streams": ["benchmarks/peers/streams.py:handle"],
    }[api]
    listen = ["--host", "127.0.0.1", "--port", "0", "--loop", loop]
    return Pair(
        f"{api}, {loop}",
        [sys.executable, "-m", module, "--loop", loop],
        netkit(*target, *listen),
    )


def netkit(*words: str | Path) -> list[str | Path]:
    """``netkit serve`` with these words, its limits no obstacle."""
    # Development certificates of a benchmark stay in its own folder.
    certificates = f"NETKIT_CERTS={BUILD / 'certs'}"
    return ["env", certificates, sys.executable, "-m", "netkit", "serve", *words, *LIMITS]


def listening(scheme: str, loop: str) -> list[str | Path]:
    """The flags for a port of `scheme` (tcp or tls) on a loop."""
    return ["--bind", f"{scheme}://127.0.0.1:0", "--loop", loop]


def pairs() -> list[Pair]:
    """Both APIs on both loops."""
    return [pair(api, loop) for api in ("protocol", "streams") for loop in ("uvloop", "asyncio")]


def yardsticks() -> dict[str, list[str | Path]]:
    """Servers that are not Python, by name: C always, Node where it is installed."""
    found: dict[str, list[str | Path]] = {"C epoll": [compiled("peers/echo.c")]}
    if node := shutil.which("node"):
        found["Node"] = [node, "benchmarks/peers/echo.js"]
    return found
