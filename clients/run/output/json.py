r"""Events as JSON, one object a line.

::

    {"event": "started", "job": 1, "time": 1767225600.25, "pid": 4711,
     "command": ["gzip", "-9", "a"], "arguments": [["1", "a"]]}
    {"event": "output", "job": 1, "time": 1767225600.3, "stream": "stderr", "text": "no\n"}
    {"event": "retrying", "job": 1, "time": 1767225600.4, "attempt": 2, "delay": 0.75,
     "status": 1, "signal": null, "seconds": 0.15, "user": 0.01, "system": 0.002,
     "max_rss": 3145728, "reason": "exit"}
    {"event": "ended", "job": 1, …, "status": 0, "signal": null, …, "reason": "exit"}

=============  ==================================================================
``event``      what happened
``job``        the job's place among all rows, from 1: ``Seq`` of the joblog
``time``       Unix time of it, in seconds
``host``       where, if not here
``pid``        its first process, and the number of its process group
``command``    its words
``arguments``  input source (its number, or the column's name) and value, in pairs
``stream``     ``stdout`` or ``stderr``
``text``       whole lines; the last may lack its newline, one of more than a MiB
               comes in pieces
``base64``     instead of ``text``: what is not UTF-8
``attempt``    the start that comes, counted from 1
``delay``      seconds until then
``status``     exit status; null if a signal ended it, or if it never ran
``signal``     number of that signal, or null
``seconds``    wall time of the last attempt
``user``       seconds of CPU in the program, and ``system`` in the kernel; null if
               nobody knows
``max_rss``    bytes that it had in memory at most, or null
``reason``     ``exit``, ``timeout``, ``not started`` or ``lost``
``error``      one line on why it was not started or was lost
=============  ==================================================================
"""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass
from functools import partial

from netkit.clients.run.output.log import Log
from netkit.clients.run.output.results import Results
from netkit.clients.run.output.work import Work
from netkit.clients.run.output.writer import Writer
from netkit.subprocesses.command import Stdio
from netkit.subprocesses.events import End, Ended, Event, Output, Retrying, Started


def line(event: Event, work: Work, host: str) -> bytes:
    """One event, with its newline."""
    content: dict[str, object] = {"event": type(event).__name__.lower(), "job": work.number}
    content["time"] = round(event.time, 6)
    if host != ":":
        content["host"] = host
    if isinstance(event, Started):
        content |= {"pid": event.pid, "command": event.command.words, "arguments": work.arguments}
    elif isinstance(event, Output):
        content["stream"] = event.stream
        try:
            content["text"] = event.data.decode()
        except UnicodeDecodeError:
            content["base64"] = b64encode(event.data).decode("ascii")
    elif isinstance(event, Retrying):
        content |= {"attempt": event.attempt, "delay": round(event.delay, 6)} | _end(event.end)
    else:
        content |= _end(event.end)
    # A word that is not UTF-8 has lone surrogates, for which JSON has an escape.
    return json.dumps(content, ensure_ascii=False).encode(errors="backslashreplace") + b"\n"


def _end(end: End) -> dict[str, object]:
    usage = end.usage
    content: dict[str, object] = {
        "status": end.status,
        "signal": end.signal,
        "seconds": round(end.seconds, 6),
        "user": usage and usage.user,
        "system": usage and usage.system,
        "max_rss": usage and usage.max_rss,
        "reason": end.reason,
    }
    return content | ({"error": end.error} if end.error else {})


@dataclass(slots=True)
class Told:
    """A job that was begun and has not ended."""

    work: Work
    received: int = 0


class Json:
    """Every event is a line on standard output; with `results` output goes there instead."""

    def __init__(self, writer: Writer, log: Log | None, results: Results | None = None) -> None:
        self._writer, self._log, self._results = writer, log, results
        self._told: dict[int, Told] = {}

    def begin(self, job: int, work: Work) -> tuple[Stdio | int, Stdio | int]:
        """Pipes for both, or files. Raises `OSError`, `OutputError`."""
        places = self._results.begin(job, work) if self._results else (Stdio.PIPE, Stdio.PIPE)
        self._told[job] = Told(work)
        return places

    def event(self, event: Event, host: str) -> None:
        """Write it down."""
        told = self._told[event.job]
        said = line(event, told.work, host)
        self._writer.put(partial(self._writer.screen.write, "stdout", [said]), len(said))
        if self._results:
            self._results.event(event, host)
        elif isinstance(event, Output) and event.stream == "stdout":
            told.received += len(event.data)
        if isinstance(event, Ended):
            del self._told[event.job]
            if self._log and not self._results:
                self._writer.put(partial(self._log, told.work, event, host, told.received))

    def finish(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Close what results have open."""
        if self._results:
            self._results.close()
