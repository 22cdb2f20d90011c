"""One job on a connection that speaks frames: a watcher with credit both ways."""

from __future__ import annotations

import struct
from collections.abc import Callable

from netkit.jobs.credit import Allowance, Window
from netkit.jobs.frames import LONGEST, Frame, FrameError, Kind
from netkit.jobs.messages import Queued, Started, encode
from netkit.servers.runner.job import Run
from netkit.servers.runner.tape import Cursor

LOST = struct.Struct("!Q")
"""Bytes of output that were dropped, in a LOST frame."""

_OUTPUT = {"stdout": Kind.STDOUT, "stderr": Kind.STDERR}


class Channel:
    """What a client calls by `number`; it has a job once that was allowed."""

    def __init__(
        self, number: int, send: Callable[[Frame], None], ready: Callable[[Channel], None],
        *, allowance: int, window: int, quiet: bool = False,
    ) -> None:  # fmt: skip
        """`ready` hears that `step` has something to send; `quiet` sends an EXIT alone."""
        self.number = number
        self.run: Run | None = None
        self.cursor = Cursor()
        self.closed = False
        self._input_ended = False
        self._send, self._ready, self._quiet = send, ready, quiet
        self._allowance, self._window = Allowance(allowance), Window(window)
        self._told_queued = self._told_started = False

    def attend(self, run: Run) -> None:
        """Watch a job from now on."""
        self.run = run
        run.watch(self)
        self._ready(self)

    def wake(self) -> None:
        """See `Watcher`."""
        self._ready(self)

    def taken(self, size: int) -> None:
        """See `Watcher`."""
        if not self.closed and (grant := self._window.taken(size)):
            self._frame(Kind.CREDIT, grant)

    def grant(self, payload: bytes) -> None:
        """Hear a CREDIT frame. Raises `FrameError`."""
        self._allowance.grant(payload)
        self._ready(self)

    def input(self, data: bytes) -> None:
        """Hear a STDIN frame. Raises `FrameError`."""
        if self._input_ended or not self._told_started:
            raise FrameError("STDIN goes between STARTED and STDIN_END")
        self._window.arrived(len(data))
        if self.run and self.run.order.stdin and not self.run.exit:
            self.run.feed(data)
        else:
            self.taken(len(data))

    def end_input(self) -> None:
        """Hear a STDIN_END frame. Raises `FrameError`."""
        if not self._told_started:
            raise FrameError("STDIN_END before STARTED")
        self._input_ended = True
        if self.run:
            self.run.end_input()

    def leave(self) -> None:
        """Watch no more."""
        self.closed = True
        if self.run:
            self.run.leave(self)

    def step(self) -> bool:
        """Send one frame of what there is; whether there may be more."""
        run = self.run
        if run is None or self.closed:
            return False
        if not run.started and not run.exit:
            self._say_queued(run)
            return False
        if run.started and not self._told_started and not self._quiet:
            self._told_started = True
            self._frame(Kind.STARTED, encode(Started(run.id, stdin=run.order.stdin)))
        if not self._quiet and self._send_output(run):
            return True
        if run.exit and (self._quiet or run.tape.is_read(self.cursor)):
            self._frame(Kind.EXIT, encode(run.exit))
            self.leave()
        return False

    def _say_queued(self, run: Run) -> None:
        if run.ahead is not None and not self._told_queued and not self._quiet:
            self._told_queued = True
            self._frame(Kind.QUEUED, encode(Queued(run.ahead, run.id)))

    def _send_output(self, run: Run) -> bool:
        if lost := run.tape.lost(self.cursor):
            self._frame(Kind.LOST, LOST.pack(lost))
        piece = run.tape.read(self.cursor, min(self._allowance.left, LONGEST))
        if piece is None:
            return False
        stream, data = piece
        self._allowance.take(len(data))
        self._frame(_OUTPUT[stream], data)
        run.read()
        return True

    def _frame(self, kind: Kind, payload: bytes) -> None:
        self._send(Frame(kind, self.number, payload))
