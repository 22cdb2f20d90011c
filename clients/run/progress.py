"""How far a run is: counted from events, shown as one line.

rich, which draws it, is imported when the first line is drawn; nothing of it touches the
terminal. Who writes there puts the line below what jobs write, and takes it away before.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from netkit.subprocesses.events import End, Ended, Event, Retrying, Started

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar


class Progress:
    """Counts jobs; `total` may be set when it becomes known."""

    def __init__(self, total: int | None = None) -> None:
        self.total = total
        self._start = time.monotonic()
        self._succeeded = self._failed = self._running = 0
        self._drawing: tuple[Console, Bar] | None = None

    def event(self, event: Event) -> None:
        """Count it."""
        if isinstance(event, Started):
            self._running += 1
        elif isinstance(event, Retrying | Ended):
            self._running -= _ran(event.end)
            if isinstance(event, Ended):
                self._succeeded += event.end.code == 0
                self._failed += event.end.code != 0

    @property
    def done(self) -> int:
        """Jobs that have ended."""
        return self._succeeded + self._failed

    def summary(self) -> str:
        """All of it in a line, for the end."""
        seconds = time.monotonic() - self._start
        of = f" of {self.total}" if self.total is not None and self.total != self.done else ""
        rate = self.done / seconds if seconds else 0.0
        return (
            f"{self.done}{of} job{'s' * (self.done != 1)} in {seconds:.1f} s ({rate:.1f}/s): "
            f"{self._succeeded} succeeded, {self._failed} failed"
        )

    def draw(self, width: int, *, colour: bool) -> bytes:
        """The line as it is now, without a newline, no wider than `width` columns."""
        if self._drawing is None:
            self._drawing = _drawing(colour=colour)
        console, bar = self._drawing
        console.width = width
        rate = self.done / max(time.monotonic() - self._start, 1e-3)
        bar.update(
            bar.task_ids[0], total=self.total, completed=self.done,
            running=self._running, failed=self._failed, rate=rate,
        )  # fmt: skip
        with console.capture() as captured:
            console.print(bar.get_renderable(), end="", no_wrap=True, overflow="crop", crop=True)
        return captured.get().split("\n", 1)[0].rstrip(" ").encode()


def _ran(end: End) -> bool:
    return end.reason != "not started"


def _drawing(*, colour: bool) -> tuple[Console, Bar]:
    import io

    from rich import progress
    from rich.console import Console

    console = Console(file=io.StringIO(), force_terminal=True, no_color=not colour)
    bar = progress.Progress(
        progress.BarColumn(bar_width=20),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[rate]:.1f}/s, {task.fields[running]} running"),
        progress.TextColumn("[red]{task.fields[failed]} failed"),
        progress.TimeRemainingColumn(),
        console=console,
        auto_refresh=False,
    )
    bar.add_task("", total=None, running=0, failed=0, rate=0.0)
    return console, bar
