"""Each job's output in files of its own, in a tree that its arguments name."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from netkit.clients.run.output import held, tree
from netkit.clients.run.output.failures import OutputError
from netkit.clients.run.output.held import Pair
from netkit.clients.run.output.log import Log
from netkit.clients.run.output.work import Work
from netkit.clients.run.output.writer import FILE, Writer
from netkit.errors import UsageError
from netkit.subprocesses.events import Ended, Event, Retrying


@dataclass(slots=True)
class Kept:
    """A job that was begun and not yet written down."""

    work: Work
    pair: Pair
    folder: Path


class Results:
    """``stdout``, ``stderr`` and ``seq`` for each job, below `root`. Nothing is shown.

    The job writes into them by itself. They are new files each time: who still has those of
    an earlier run open, or runs with the same arguments at the same time, keeps its own.
    """

    def __init__(self, root: Path, writer: Writer, log: Log | None) -> None:
        self._root, self._writer, self._log = root, writer, log
        self._kept: dict[int, Kept] = {}
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"--results {root}: {error.strerror}") from None

    def has(self, work: Work) -> bool:
        """Whether there is output of a job with these arguments."""
        return (self._folder(work) / "stdout").exists()

    def begin(self, job: int, work: Work) -> tuple[int, int]:
        """Make its files. Raises `OSError` for want of descriptors, else `OutputError`."""
        folder = self._folder(work)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            seq = _new(folder / "seq")
            try:
                os.write(seq, str(work.number).encode())
            finally:
                os.close(seq)
            pair = _pair(folder)
        except OSError as error:
            if error.errno in held.SCARCE:
                raise
            raise OutputError(f"--results {folder}: {error.strerror}") from None
        self._kept[job] = Kept(work, pair, folder)
        return pair.stdout, pair.stderr

    def event(self, event: Event, host: str) -> None:
        """A job that has ended is written down, one that starts again begins anew."""
        if isinstance(event, Retrying):
            self._kept[event.job].pair.restart()
        elif isinstance(event, Ended):
            self._writer.put(partial(self._end, event, host), FILE)

    def finish(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Close what is still open."""
        for kept in list(self._kept.values()):
            kept.pair.close()
        self._kept.clear()

    def _folder(self, work: Work) -> Path:
        return self._root / tree.path(work.number, work.arguments)

    def _end(self, ended: Ended, host: str) -> None:
        kept = self._kept[ended.job]
        held.check_room(kept.pair.stdout, kept.folder, f"job {kept.work.number}")
        if self._log:
            self._log(kept.work, ended, host, held.whole(kept.pair.stdout).size)
        kept.pair.close()
        del self._kept[ended.job]


def _pair(folder: Path) -> Pair:
    stdout = _new(folder / "stdout")
    try:
        return Pair(stdout, _new(folder / "stderr"))
    except OSError:
        os.close(stdout)
        raise


def _new(path: Path) -> int:
    with suppress(FileNotFoundError):
        path.unlink()
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    return os.open(path, flags, 0o666)
