"""One markdown table, and the machine it was measured on."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks.compare import Spread


def number(value: float) -> str:
    """Three figures that mean something: 12,345 · 123 · 12.3 · 1.23."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ratio(spread: Spread) -> str:
    """A median ratio, its quartiles in brackets."""
    return f"**{spread.middle:.2f}** ({spread.low:.2f}-{spread.high:.2f})"


def size(count: int) -> str:
    """Bytes in the unit that reads best."""
    return f"{count // 1024} KiB" if count >= 1024 else f"{count} B"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose columns line up when read as text; figures stand at the right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = [
        "| " + " | ".join(align(cell, widths[i], i) for i, cell in enumerate(row)) + " |"
        for row in [header, *rows]
    ]
    rule = "| " + " | ".join(dashes(width, i) for i, width in enumerate(widths)) + " |"
    return "\n".join([lines[0], rule, *lines[1:]])


def align(cell: str, width: int, column: int) -> str:
    """The two first columns are words."""
    return cell.ljust(width) if column < 2 else cell.rjust(width)


def dashes(width: int, column: int) -> str:
    """What stands under a column's head."""
    return "-" * width if column < 2 else "-" * (width - 1) + ":"


def machine() -> str:
    """One line on where this was measured."""
    cpu = next(
        (line.split(":")[1].strip() for line in cpuinfo() if line.startswith("model name")),
        platform.machine(),
    )
    return (
        f"{cpu}, {len(os.sched_getaffinity(0))} cores, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, uvloop {version('uvloop')}, "
        f"netkit {version('netkit-serve')}"
    )


def cpuinfo() -> list[str]:
    """The kernel's description of the processors; empty where it has none."""
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def progress(text: str) -> None:
    """Say what is being measured, on stderr so that stdout holds the table alone."""
    print(text, file=sys.stderr, flush=True)
