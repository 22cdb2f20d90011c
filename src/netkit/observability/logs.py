"""Log lines, for people or as JSON, that never block the loop.

A record is formatted where it is made and written by a thread: a pipe that
nobody empties, or a terminal stopped with Ctrl-S, holds up that thread alone.
What waits is bounded; beyond it lines are dropped, and how many is said.

Records are the standard library's; netkit logs to "netkit.server" and
"netkit.access". `configure` is for a process that netkit owns (`netkit.run`
and the command); a program with a logging set-up of its own leaves it out.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections import deque
from typing import IO, Any, Literal

from netkit import threads

Line = str | tuple[Any, ...]
"""A line, or what it is made of when it is written: the function that does it is the first."""

MOST_WAITING = 50_000
"""Lines; at up to 600 bytes each about 30 MB, some seconds of a busy server's log."""

GATHER = 0.05
"""Seconds for which lines are gathered into one write(2)."""

FIELDS = "netkit"
"""Attribute of a record that holds what only the JSON line says."""


class TextFormatter(logging.Formatter):
    """``12:30:01 warning: cannot accept: …``; the level only where it is not INFO.

    Of several workers each has its number: ``12:30:01 [2] …``.
    """

    def __init__(self, worker: int = 0) -> None:
        super().__init__()
        self._since = self._until = 0.0
        self._clock = ""
        self._worker = f" [{worker}]" if worker else ""

    def clock(self, now: float) -> str:
        """The beginning of a line at `now` (Unix time), made once a second."""
        if not self._since <= now < self._until:
            self._since = now // 1
            self._until = self._since + 1
            self._clock = time.strftime("%H:%M:%S", time.localtime(now)) + self._worker
        return self._clock

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        """Put the time before the message."""
        clock = self.clock(record.created)
        if record.levelno == logging.INFO:
            return f"{clock} {record.message}"
        return f"{clock} {record.levelname.lower()}: {record.message}"


class JSONFormatter(logging.Formatter):
    """One object a line: time (RFC 3339, UTC), level, logger, message, and the record's fields."""

    def __init__(self, worker: int = 0) -> None:
        super().__init__()
        self._worker = {"worker": worker} if worker else {}

    def format(self, record: logging.LogRecord) -> str:
        """Make the object's line."""
        clock = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, object] = {
            "time": f"{clock}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            **self._worker,
            "message": record.getMessage(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class LineWriter(logging.Handler):
    """Formats at once, writes from a thread. `close` writes what waits and ends the thread."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__()
        self._stream = stream
        self._waiting: deque[Line] = deque()
        self._dropped = 0
        self._arrived = threading.Event()
        self._told = False
        """Whether it is set; asking that takes a call."""
        self._closing = threading.Event()
        # A daemon: a stalled reader of our log must not keep the process from ending.
        self._thread = threads.start(self._write, "netkit-log")

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record; never waits."""
        try:
            line = self.format(record)
        except Exception:  # as logging.Handler wants it: a log line ends no program
            self.handleError(record)
        else:
            self.put(line)

    def put(self, line: Line) -> None:
        """Take a line past `logging`; never waits."""
        if len(self._waiting) >= MOST_WAITING:
            self._dropped += 1
            return
        self._waiting.append(line)
        if not self._told:
            self._told = True
            self._arrived.set()

    def _write(self) -> None:
        while not self._closing.is_set():
            self._arrived.wait()
            self._closing.wait(GATHER)
            self._arrived.clear()
            self._told = False  # from here on a line may be too late for what is written next
            self._write_waiting()
        self._write_waiting()

    def _write_waiting(self) -> None:
        waiting = [self._waiting.popleft() for _ in range(len(self._waiting))]
        lines = [line if isinstance(line, str) else line[0](line) for line in waiting]
        if self._dropped:
            lines.append(f"{self._dropped} log lines dropped: the log is not read fast enough")
            self._dropped = 0
        if not lines:
            return
        try:
            self._stream.write("\n".join(lines) + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # closed by whoever reads it: there is nobody to tell
            return

    def close(self) -> None:
        """Write what waits, for at most a second; then end the thread."""
        self._closing.set()
        self._arrived.set()
        self._thread.join(timeout=1.0)
        super().close()


def configure(
    level: str = "info",
    form: Literal["text", "json"] = "text",
    stream: IO[str] | None = None,
    access: bool = True,
    worker: int = 0,
) -> LineWriter:
    """Send netkit's and asyncio's records to `stream` (default stderr). The caller closes it.

    `level` holds for all; `access` False leaves out the line per connection; `worker`
    is the number of this process, if it is one of several.
    """
    writer = LineWriter(stream or sys.stderr)
    writer.setFormatter(JSONFormatter(worker) if form == "json" else TextFormatter(worker))
    root = logging.getLogger()
    root.addHandler(writer)
    root.setLevel(logging.WARNING)
    logging.getLogger("netkit").setLevel(level.upper())
    logging.getLogger("netkit.access").setLevel(logging.NOTSET if access else logging.CRITICAL)
    # What each record would look up and we do not print.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    return writer
