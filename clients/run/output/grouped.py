"""Each job's output in one piece, at its end."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from netkit.clients.run.output import held
from netkit.clients.run.output.copying import Part
from netkit.clients.run.output.held import Pair, Spool
from netkit.clients.run.output.log import Log
from netkit.clients.run.output.tagging import tag
from netkit.clients.run.output.work import Work
from netkit.clients.run.output.writer import FILE, Writer
from netkit.subprocesses.events import Ended, Event, Retrying

OPEN = 64
"""Jobs that wait for an earlier one with their own files open; those of more are put together."""


@dataclass(slots=True)
class Kept:
    """A job that was begun and not yet shown."""

    job: int
    work: Work
    pair: Pair
    ended: Ended | None = None
    host: str = ""
    spooled: tuple[Part, Part] | None = None


class Grouped:
    """Jobs write into files without a name, which are copied as soon as it is their turn.

    `in_order` is that of the jobs' numbers, else that of their ends. However many wait for an
    early one, no more than `OPEN` of them have files open: what the rest wrote is moved into
    one file, so the disk bounds it, and no job has to wait for its start.
    """

    def __init__(self, writer: Writer, log: Log | None, *, in_order: bool, tagged: bool) -> None:
        self._writer, self._log = writer, log
        self._in_order, self._tagged = in_order, tagged
        self._folder = held.folder()
        self._spool = Spool(self._folder)
        self._kept: dict[int, Kept] = {}
        self._next = 1
        self._waiting = 0

    def begin(self, job: int, work: Work) -> tuple[int, int]:
        """Make its files. Raises `OSError`."""
        pair = Pair.nameless(self._folder)
        self._kept[job] = Kept(job, work, pair)
        return pair.stdout, pair.stderr

    def event(self, event: Event, host: str) -> None:
        """Show a job that has ended, or keep it until those before it are shown."""
        if isinstance(event, Retrying):
            self._kept[event.job].pair.restart()
        elif isinstance(event, Ended):
            kept = self._kept[event.job]
            kept.ended, kept.host = event, host
            if self._in_order:
                self._in_turn(kept)
            elif not self._log and kept.pair.empty:  # for the thread there is nothing to do
                self._finished(kept)
            else:
                self._writer.put(partial(self._write, kept), FILE)

    def finish(self) -> None:
        """Show those that have ended, though they wait for one that never will."""
        for kept in list(self._kept.values()):
            if self._in_order and kept.ended and kept.job >= self._next:
                self._writer.put(partial(self._write, kept), FILE)

    def close(self) -> None:
        """Close what is still open."""
        for kept in list(self._kept.values()):
            kept.pair.close()
        self._kept.clear()
        self._spool.close()

    def _in_turn(self, kept: Kept) -> None:
        self._waiting += 1
        if kept.job != self._next and self._waiting > OPEN:
            self._writer.put(partial(self._put_together, kept), FILE)
        # Until it is written it stays among `_kept`, whose files `close` closes.
        while (following := self._kept.get(self._next)) and following.ended:
            self._writer.put(partial(self._write, following), FILE)
            self._waiting -= 1
            self._next += 1

    def _put_together(self, kept: Kept) -> None:
        pair = kept.pair
        held.check_room(pair.stdout, self._folder, f"job {kept.work.number}")
        stdout, stderr = held.whole(pair.stdout), held.whole(pair.stderr)
        kept.spooled = self._spool.add(stdout), self._spool.add(stderr)
        pair.close()

    def _write(self, kept: Kept) -> None:
        pair, screen, ended = kept.pair, self._writer.screen, kept.ended
        assert ended
        if not kept.spooled:
            held.check_room(pair.stdout, self._folder, f"job {kept.work.number}")
        parts = kept.spooled or (held.whole(pair.stdout), held.whole(pair.stderr))
        screen.copy("stdout", parts[0], self._tag(kept, screen.is_coloured("stdout")))
        screen.copy("stderr", parts[1], self._tag(kept, screen.is_coloured("stderr")))
        if self._log:
            self._log(kept.work, ended, kept.host, parts[0].size)
        for part in kept.spooled or ():
            self._spool.drop(part)
        self._finished(kept)

    def _finished(self, kept: Kept) -> None:
        kept.pair.close()
        del self._kept[kept.job]

    def _tag(self, kept: Kept, colour: bool) -> bytes:
        return tag(kept.work.tag, kept.job, colour=colour) if self._tagged else b""
