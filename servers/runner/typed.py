"""A connection that speaks lines: for people with ``openssl s_client`` or ``nc``.

::

    RUN NAME [ARGUMENT…]    arguments may be quoted, as a shell has it; nothing else is special
    HELP                    what may be run
    KILL                    end what runs
    QUIT

Answers: ``OUT text`` and ``ERR text`` for each line of output, ``EXIT status`` at the end, or
``ERROR code why``. One job at a time; what is typed meanwhile waits, but for KILL.

A line that is none of these ends the connection: a browser that is made to talk to us
(``POST / HTTP/1.1``) must not get to the part of it that somebody else has written.
"""

from __future__ import annotations

import asyncio
import shlex
from collections import deque

from netkit.jobs.messages import Start
from netkit.servers.runner.house import House
from netkit.servers.runner.job import Run
from netkit.servers.runner.refusals import RefusedError
from netkit.servers.runner.speaking import Speaker
from netkit.servers.runner.tape import PIECE, Cursor
from netkit.subprocesses.lines import Blocks

LONGEST_LINE = 4096
"""Bytes of a line that is typed."""

MOST_LINES = 100
"""Lines that wait for the job that runs."""

BEAT = 2.0
"""Seconds between two signs of life for a client that has ended its input.

It may still read, or be gone: the kernel says so of one that is gone when it is written to.
"""

_PREFIX = {"stdout": b"OUT ", "stderr": b"ERR "}


class Typed:
    """The session of one connection; a watcher of the job that it runs."""

    def __init__(self, speaker: Speaker, house: House) -> None:
        self._speaker, self._house = speaker, house
        self._held = b""
        self._lines: deque[str] = deque()
        self._busy = self._over = False
        self._run: Run | None = None
        self._blocks: dict[str, Blocks] = {}
        self._beat: asyncio.TimerHandle | None = None
        self.cursor = Cursor()

    def received(self, data: bytes) -> None:
        """Do what the lines in `data` say."""
        *lines, self._held = (self._held + data).split(b"\n")
        if any(len(each) > LONGEST_LINE for each in (*lines, self._held)):
            self._end("protocol", f"a line has at most {LONGEST_LINE} bytes")
            return
        for line in lines:
            text = line.rstrip(b"\r").decode("utf-8", "surrogateescape")
            if text == "KILL" and self._run:
                self._run.kill()
                continue
            self._lines.append(text)
        if len(self._lines) > MOST_LINES:
            self._end("limit", f"at most {MOST_LINES} lines wait")
        self._next()

    def ended(self) -> bool:
        """Hear that no more is typed: what was asked for is still answered."""
        self._over = True
        self._next()
        if self._busy:
            self._beat = asyncio.get_running_loop().call_later(BEAT, self._live)
        return self._busy

    def lost(self) -> None:
        """Hear that the connection is gone."""
        self._lines.clear()
        if self._beat:
            self._beat.cancel()
        if self._run:
            self._run.leave(self)

    def refuse_all(self) -> None:
        """Tell a client that nobody vouches for."""
        self._end("denied", "show a client certificate, or come by a Unix socket")

    def wake(self) -> None:
        """See `Watcher`."""
        self.writable()

    def taken(self, size: int) -> None:
        """See `Watcher`: there is no input."""

    def writable(self) -> None:
        """Write what the job has written, as fast as it is taken."""
        run = self._run
        while run and not self._speaker.paused and not self._speaker.closing:
            run.tape.lost(self.cursor)
            piece = run.tape.read(self.cursor, PIECE)
            if piece is None:
                break
            stream, data = piece
            self._speaker.write(prefixed(_PREFIX[stream], self._blocks[stream].feed(data)))
            run.read()
        if run and run.exit and run.tape.is_read(self.cursor) and not self._speaker.closing:
            self._finish(run)

    def _finish(self, run: Run) -> None:
        assert run.exit
        for stream, blocks in self._blocks.items():
            self._speaker.write(prefixed(_PREFIX[stream], blocks.end()))
        end = run.exit
        code = 128 + end.signal if end.signal else 127 if end.status is None else end.status
        why = "" if end.reason == "exit" else f" {end.reason}"
        self._say(f"EXIT {code}{why}{': ' + end.error if end.error else ''}")
        run.leave(self)
        self._run, self._busy = None, False
        # Not from in here: a list of a hundred short jobs would be as deep a recursion.
        asyncio.get_running_loop().call_soon(self._next)

    def _live(self) -> None:
        if not self._speaker.paused:
            self._say("RUNNING")
        self._beat = asyncio.get_running_loop().call_later(BEAT, self._live)

    def _next(self) -> None:
        while self._lines and not self._busy and not self._speaker.closing:
            self._line(self._lines.popleft())
        if self._over and not self._busy:
            self._speaker.finish()

    def _line(self, text: str) -> None:
        verb, _, rest = text.strip().partition(" ")
        if verb == "RUN":
            self._wish(rest)
        elif verb == "HELP":
            self._help()
        elif verb == "QUIT":
            self._speaker.finish()
        elif verb and verb != "KILL":
            self._end("protocol", "give RUN NAME [ARGUMENT…], HELP, KILL or QUIT")

    def _wish(self, rest: str) -> None:
        try:
            name, *arguments = shlex.split(rest)
        except ValueError as error:  # also for no word at all
            why = str(error) if rest.strip() else "say what to run: RUN NAME [ARGUMENT…]"
            self._say(f"ERROR argument {why}")
            return
        self._busy = True
        self._house.own(asyncio.create_task(self._begin(Start(name, tuple(arguments)))))

    async def _begin(self, start: Start) -> None:
        speaker, runs = self._speaker, self._house.runs
        assert speaker.caller
        try:
            order = await self._house.order(start, speaker.caller, speaker.peer)
            if speaker.closing:
                return
            run = self._run = runs.submit(order)
        except RefusedError as error:
            await runs.refuse(speaker.caller, speaker.peer, start.name, str(error))
            self._say(f"ERROR {error.code} {error}")
            self._busy = False
            self._next()
            return
        self.cursor, self._blocks = Cursor(), {stream: Blocks(PIECE) for stream in _PREFIX}
        run.watch(self)
        if run.ahead is not None:
            self._say(f"QUEUED {run.ahead}")
        self.writable()

    def _help(self) -> None:
        assert self._speaker.caller
        for each in self._house.list.current.open_to(self._speaker.caller):
            self._say(" ".join(["RUN", each.name, *(f"<{own.name}>" for own in each.parameters)]))
        self._say("HELP, KILL, QUIT")

    def _end(self, code: str, message: str) -> None:
        self._lines.clear()
        self._say(f"ERROR {code} {message}")
        self._speaker.finish()

    def _say(self, text: str) -> None:
        if not self._speaker.closing:
            shown = text if text.isprintable() else ascii(text)
            self._speaker.write(shown.encode("utf-8", "replace") + b"\n")


def prefixed(prefix: bytes, block: bytes) -> bytes:
    """Each line of a block behind a prefix, in one replace; the last gets its newline."""
    if not block:
        return b""
    return prefix + block.removesuffix(b"\n").replace(b"\n", b"\n" + prefix) + b"\n"
