"""Lines as they come, whole, with what they are from before each."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import partial

from netkit.clients.run.output import copying, held
from netkit.clients.run.output.failures import OutputError
from netkit.clients.run.output.log import Log
from netkit.clients.run.output.screen import Screen, Stream
from netkit.clients.run.output.tagging import Tagger, tag
from netkit.clients.run.output.work import Work
from netkit.clients.run.output.writer import Writer
from netkit.subprocesses.command import Stdio
from netkit.subprocesses.events import Ended, Event, Output, Retrying
from netkit.subprocesses.lines import LONGEST

Pieces = list[bytes | memoryview]


class Unfinished:
    """A line that has no end yet, in memory or, if it is long, in a file without a name.

    So others' lines go on meanwhile and do not break it. Used in the writing thread alone.
    """

    def __init__(self) -> None:
        self._pieces: Pieces = []
        self._size = 0
        self._fd = -1

    def add(self, pieces: Pieces) -> None:
        """More of it. Raises `OutputError`."""
        self._pieces += pieces
        self._size += sum(map(len, pieces))
        if self._size <= LONGEST:
            return
        where = held.folder()
        try:
            if self._fd < 0:
                self._fd = held.nameless(where)
            copying.write(self._fd, self._pieces)
        except OSError as error:
            raise OutputError(f"{where}: a long line cannot be kept: {error.strerror}") from None
        self._pieces = []

    def show(self, screen: Screen, stream: Stream) -> None:
        """Write it, and forget it."""
        try:
            if self._fd >= 0:
                screen.copy(stream, held.whole(self._fd))
            screen.write(stream, self._pieces)
        finally:
            self.close()

    def close(self) -> None:
        """Forget it. May be called twice."""
        self._pieces, self._size = [], 0
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


@dataclass(slots=True)
class Voice:
    """One stream of one job."""

    stream: Stream
    tagger: Tagger
    rest: Unfinished | None = None


@dataclass(slots=True)
class Speaking:
    """A job that was begun and has not ended."""

    work: Work
    voices: dict[str, Voice]
    received: int = field(default=0)


class Live:
    """Jobs write into pipes; what comes out are blocks of whole lines, which do not mix.

    A last line without an end gets one.
    """

    def __init__(self, writer: Writer, log: Log | None, *, tagged: bool) -> None:
        self._writer, self._log, self._tagged = writer, log, tagged
        self._speaking: dict[int, Speaking] = {}

    def begin(self, job: int, work: Work) -> tuple[Stdio, Stdio]:
        """Pipes for both."""
        voices: dict[str, Voice] = {}
        streams: tuple[Stream, Stream] = ("stdout", "stderr")
        for stream in streams:
            colour = self._writer.screen.is_coloured(stream)
            before = tag(work.tag, job, colour=colour) if self._tagged else b""
            voices[stream] = Voice(stream, Tagger(before))
        self._speaking[job] = Speaking(work, voices)
        return Stdio.PIPE, Stdio.PIPE

    def event(self, event: Event, host: str) -> None:
        """Show what a job wrote."""
        if type(event) is Output:
            speaking = self._speaking[event.job]
            if event.stream == "stdout":
                speaking.received += len(event.data)
            self._show(speaking.voices[event.stream], event.data)
        elif isinstance(event, Retrying):
            self._quiet(self._speaking[event.job])
        elif isinstance(event, Ended):
            speaking = self._speaking.pop(event.job)
            self._quiet(speaking)
            if self._log:
                log = partial(self._log, speaking.work, event, host, speaking.received)
                self._writer.put(log)

    def finish(self) -> None:
        """Show lines that have no end, of jobs that will never tell theirs."""
        for speaking in self._speaking.values():
            self._quiet(speaking)

    def close(self) -> None:
        """Forget lines that have no end."""
        for speaking in self._speaking.values():
            for voice in speaking.voices.values():
                if voice.rest:
                    voice.rest.close()
        self._speaking.clear()

    def _show(self, voice: Voice, data: bytes) -> None:
        pieces = voice.tagger(data)
        over = data.endswith(b"\n")
        if over and not voice.rest:
            self._writer.put(partial(self._writer.screen.write, voice.stream, pieces), len(data))
            return
        # No newline: the rest of a stream, or a piece of a line that is very long.
        voice.rest = voice.rest or Unfinished()
        self._writer.put(partial(voice.rest.add, pieces), len(data))
        if over:
            self._end(voice)

    def _quiet(self, speaking: Speaking) -> None:
        for voice in speaking.voices.values():
            if voice.rest:
                self._show(voice, b"\n")

    def _end(self, voice: Voice) -> None:
        assert voice.rest
        self._writer.put(partial(voice.rest.show, self._writer.screen, voice.stream))
        voice.rest = None
