"""What was asked of output."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from netkit.errors import UsageError

Mode: TypeAlias = Literal["grouped", "live", "json"]


@dataclass(frozen=True, slots=True)
class Form:
    """How what jobs put out is shown, and where else it goes."""

    mode: Mode = "grouped"
    keep_order: bool = False
    """In the order in which jobs were given; only grouped."""
    tag: bool = False
    """`Work.tag` and a tab before each line."""
    results: Path | None = None
    """A folder for it; then it is shown nowhere else."""
    progress: bool | None = None
    """None: a line on a terminal; True: also a summary at the end; False: nothing."""

    def check(self) -> None:
        """Raise `UsageError` for what cannot be had together."""
        flag = {"live": "--line-buffer", "json": "--json"}.get(self.mode)
        if flag and self.keep_order:
            raise UsageError(f"--keep-order {flag}: lines come as they are; leave one of them out")
        if flag and self.tag and self.mode == "json":
            raise UsageError("--tag --json: each event names its job; leave --tag out")
        if self.results and self.mode == "live":
            raise UsageError(
                "--results --line-buffer: results are not shown; leave one of them out"
            )
