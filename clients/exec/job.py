"""One job: its streams here, its credit, its end."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Coroutine
from contextlib import ExitStack, closing
from typing import Any

from netkit.clients.exec import keyboard
from netkit.clients.exec.link import WINDOW, FailedError, Link, read, refusal
from netkit.clients.exec.settings import Standard, Wish
from netkit.clients.exec.signals import passed_on
from netkit.jobs.credit import Allowance, Window
from netkit.jobs.frames import LONGEST, Frame, FrameError, Kind
from netkit.jobs.messages import Attach, Exit, Queued, Start, Started, encode
from netkit.stdio import Streams

_LOST = struct.Struct("!Q")


class Following:
    """A job that is followed to its end, or to the moment at which it is left to itself."""

    def __init__(
        self, link: Link, wish: Wish, standard: Standard, say: Callable[[str], None]
    ) -> None:
        self._link, self._wish, self._standard, self._say = link, wish, standard, say
        self._window = Window(WINDOW)
        self._allowance = Allowance(link.window)
        self._room = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._stack = ExitStack()

    async def run(self) -> Exit | str:
        """How it ended; if it was detached, its id.

        Raises `FailedError`, `LeftError`, `OutputClosedError`, and `NetkitError` for our streams.
        """
        with self._stack:
            self._out = self._streams(self._standard.stdin, self._standard.stdout)
            self._err = self._streams(None, self._standard.stderr)
            reading = asyncio.create_task(self._read())
            self._own(self._link.keep_alive())
            try:
                either: set[asyncio.Future[Any]] = {reading, self._failure}
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                return reading.result() if reading.done() else self._failure.result()
            finally:
                await _ended({reading, *self._tasks})
                self._failure.cancel()

    def _streams(self, stdin: int | None, stdout: int | None) -> Streams:
        return self._stack.enter_context(closing(Streams(stdin, stdout, None)))

    async def _read(self) -> Exit | str:
        await self._ask()
        while True:
            frame = await self._link.receive()
            try:
                end = await self._frame(frame)
            except (FrameError, struct.error) as error:
                raise FailedError(f"the server does not keep to the protocol: {error}") from None
            if end is not None:
                return end

    async def _ask(self) -> None:
        wish = self._wish
        if wish.attach:
            await self._link.send(Kind.ATTACH, encode(Attach(wish.attach)))
            return
        terminal = keyboard.wanted(self._standard.stdin) if wish.terminal else None
        stdin = self._standard.stdin is not None and not wish.no_input and not wish.detach
        start = Start(wish.name, wish.arguments, wish.named, stdin, wish.detach, terminal)
        payload = encode(start)
        if len(payload) > LONGEST:
            raise FailedError(f"the arguments have {len(payload)} bytes, {LONGEST} may be sent")
        await self._link.send(Kind.START, payload)

    async def _frame(self, frame: Frame) -> Exit | str | None:
        match frame.kind:
            case Kind.STDOUT:
                await self._output(self._out, frame.payload)
            case Kind.STDERR:
                await self._output(self._err, frame.payload)
            case Kind.QUEUED if self._wish.detach:
                return read(Queued, frame).id
            case Kind.QUEUED:
                self._say(f"waiting for a place, {read(Queued, frame).ahead} before us")
            case Kind.STARTED:
                return self._started(read(Started, frame))
            case Kind.CREDIT:
                self._allowance.grant(frame.payload)
                self._room.set()
            case Kind.LOST:
                (lost,) = _LOST.unpack(frame.payload)
                self._say(f"{lost} bytes of output were dropped before we could have them")
            case Kind.EXIT:
                return read(Exit, frame)
            case Kind.ERROR:
                raise refusal(frame)
        return None

    async def _output(self, streams: Streams, data: bytes) -> None:
        self._window.arrived(len(data))
        await streams.write(data)
        if grant := self._window.taken(len(data)):
            await self._link.send(Kind.CREDIT, grant)

    def _started(self, started: Started) -> str | None:
        if self._wish.detach:
            return started.id
        if self._wish.attach:  # Ctrl-C ends the watching, not what is watched
            return None
        self._stack.enter_context(passed_on(self._signal, self._fail, self._resized))
        if self._wish.terminal:
            self._stack.enter_context(keyboard.raw(self._standard.stdin))
        if started.stdin:
            self._own(self._type())
        return None

    async def _type(self) -> None:
        keys = keyboard.Keys() if self._wish.terminal else None
        while True:
            while self._allowance.left <= 0:
                self._room.clear()
                await self._room.wait()
            data = await self._out.read(min(self._allowance.left, LONGEST))
            if not data:
                await self._link.send(Kind.STDIN_END)
                return
            passed = keys(data) if keys else data
            if passed:
                self._allowance.take(len(passed))
                await self._link.send(Kind.STDIN, passed)
            if keys and keys.left:
                raise FailedError("left by ~.")

    def _signal(self, name: str) -> None:
        self._own(self._link.send(Kind.SIGNAL, name.encode()))

    def _resized(self) -> None:
        if self._wish.terminal:
            self._own(self._link.send(Kind.SIZE, keyboard.size(self._standard.stdin)))

    def _own(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if not self._failure.done():
            self._failure.set_exception(error)


async def _ended(tasks: set[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
