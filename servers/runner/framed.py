"""A connection that speaks frames (docs/runner-protocol.md): several jobs at once."""

from __future__ import annotations

import asyncio
import signal
from collections import deque
from collections.abc import Callable

from netkit.jobs import messages
from netkit.jobs.credit import checked_window
from netkit.jobs.frames import VERSION, Frame, FrameError, Frames, Kind
from netkit.jobs.messages import Attach, Error, Hello, Kill, Listed, Start, decode, encode
from netkit.servers.runner.channel import Channel
from netkit.servers.runner.house import House, window
from netkit.servers.runner.refusals import RefusedError
from netkit.servers.runner.speaking import Speaker

WINDOW = 256 * 1024
"""Bytes of input that we hold for a job that does not read it."""

MOST_CHANNELS = 64
"""Jobs on one connection."""

MOST_REFUSALS = 100
"""Refused wishes on one connection: a program that tries things out, or a broken one."""

LONGEST_PING = 64


class Framed:
    """The session of one connection."""

    def __init__(self, speaker: Speaker, house: House) -> None:
        self._speaker, self._house = speaker, house
        self._frames = Frames()
        self._channels: dict[int, Channel] = {}
        self._ready: deque[Channel] = deque()
        self._greeted = False
        self._allowance = 0
        self._refusals = 0
        self._stepping = False
        self._obey: dict[Kind, Callable[[Frame], None]] = {
            Kind.HELLO: self._hello, Kind.START: self._start, Kind.ATTACH: self._attach,
            Kind.KILL: self._kill, Kind.LIST: self._list, Kind.PING: self._ping,
            Kind.STDIN: self._stdin, Kind.STDIN_END: self._stdin_end, Kind.CREDIT: self._credit,
            Kind.SIGNAL: self._signal, Kind.SIZE: self._size, Kind.LEAVE: self._leave,
        }  # fmt: skip

    def received(self, data: bytes) -> None:
        """Do what the frames in `data` ask."""
        try:
            for frame in self._frames.feed(data):
                self._frame(frame)
                if self._speaker.closing:
                    return
        except FrameError as error:
            self._end("protocol", str(error))

    def ended(self) -> bool:
        """Hear that the client has ended its side, which ends the connection."""
        return False

    def writable(self) -> None:
        """Go on sending; each job in its turn."""
        if self._stepping:
            return
        self._stepping = True
        while self._ready and not self._speaker.paused:
            channel = self._ready.popleft()
            if channel.step():
                self._ready.append(channel)
            elif channel.closed and self._channels.get(channel.number) is channel:
                del self._channels[channel.number]
        self._stepping = False

    def lost(self) -> None:
        """Hear that the connection is gone: jobs that are not detached go too."""
        self._ready.clear()
        for channel in list(self._channels.values()):
            channel.leave()
        self._channels.clear()

    def refuse_all(self) -> None:
        """Tell a client that nobody vouches for."""
        self._end("denied", "show a client certificate, or come by a Unix socket")

    def _frame(self, frame: Frame) -> None:
        if not self._greeted and frame.kind is not Kind.HELLO:
            raise FrameError(f"{frame.kind.name} before HELLO")
        if frame.kind not in self._obey:
            raise FrameError(f"{frame.kind.name} is the server's to send")
        self._obey[frame.kind](frame)

    def _hello(self, frame: Frame) -> None:
        hello = decode(Hello, frame.payload)
        if self._greeted or frame.job:
            raise FrameError("HELLO comes once, with job 0")
        if VERSION not in hello.versions:
            self._end("version", f"only version {VERSION} of the protocol is spoken here")
            return
        self._greeted, self._allowance = True, checked_window(hello.window)
        self._send(Frame(Kind.HELLO, 0, encode(Hello((VERSION,), WINDOW, "netkit"))))

    def _start(self, frame: Frame) -> None:
        start = decode(Start, frame.payload)
        if channel := self._open(frame.job, start.name):
            self._house.own(asyncio.create_task(self._begin(channel, start)))

    async def _begin(self, channel: Channel, start: Start) -> None:
        speaker = self._speaker
        assert speaker.caller
        try:
            order = await self._house.order(start, speaker.caller, speaker.peer)
            if channel.closed:  # lost meanwhile: then it is not begun
                return
            run = self._house.runs.submit(order)
        except RefusedError as error:
            self._refuse(channel.number, error, start.name)
            return
        channel.attend(run)

    def _attach(self, frame: Frame) -> None:
        self._find(frame, decode(Attach, frame.payload).id, quiet=False)

    def _kill(self, frame: Frame) -> None:
        channel = self._find(frame, decode(Kill, frame.payload).id, quiet=True)
        if channel and channel.run:
            channel.run.kill()

    def _find(self, frame: Frame, number: str, *, quiet: bool) -> Channel | None:
        assert self._speaker.caller
        channel = self._open(frame.job, number, quiet=quiet)
        if channel is None:
            return None
        try:
            channel.attend(self._house.runs.find(number, self._speaker.caller))
        except RefusedError as error:
            self._refuse(frame.job, error, number)
        return channel

    def _list(self, frame: Frame) -> None:
        assert self._speaker.caller
        for run in self._house.runs.of(self._speaker.caller):
            status, number = (run.exit.status, run.exit.signal) if run.exit else (None, None)
            listed = Listed(
                run.id, run.order.permission.name, run.state, run.began, len(run.watchers),
                run.written, status, number,
            )  # fmt: skip
            self._send(Frame(Kind.LISTED, frame.job, encode(listed)))
        self._send(Frame(Kind.LISTED, frame.job))

    def _ping(self, frame: Frame) -> None:
        if len(frame.payload) > LONGEST_PING:
            raise FrameError(f"PING: at most {LONGEST_PING} bytes")
        self._send(Frame(Kind.PONG, frame.job, frame.payload))

    # What is said of a job that has just ended is not wrong: it crossed its EXIT.

    def _stdin(self, frame: Frame) -> None:
        if channel := self._channels.get(frame.job):
            channel.input(frame.payload)

    def _stdin_end(self, frame: Frame) -> None:
        if channel := self._channels.get(frame.job):
            channel.end_input()

    def _credit(self, frame: Frame) -> None:
        if channel := self._channels.get(frame.job):
            channel.grant(frame.payload)

    def _signal(self, frame: Frame) -> None:
        name = frame.payload[:16].decode("ascii", "replace")
        if name not in messages.SIGNALS:
            raise FrameError(f"SIGNAL {name!r}; one of {', '.join(messages.SIGNALS)} is allowed")
        channel = self._channels.get(frame.job)
        if channel is None or channel.run is None:
            return
        if channel.run.started:
            channel.run.signal(signal.Signals[f"SIG{name}"])
        else:
            channel.run.kill()

    def _size(self, frame: Frame) -> None:
        if len(frame.payload) != messages.SIZE.size:
            raise FrameError(f"SIZE: {messages.SIZE.size} bytes are asked for")
        channel = self._channels.get(frame.job)
        if channel and channel.run:
            channel.run.resize(window(*messages.SIZE.unpack(frame.payload)))

    def _leave(self, frame: Frame) -> None:
        if channel := self._channels.pop(frame.job, None):
            channel.leave()

    def _open(self, number: int, what: str, *, quiet: bool = False) -> Channel | None:
        if not number or number in self._channels:
            raise FrameError(f"job {number}: give a number from 1 up that is not in use")
        if len(self._channels) >= MOST_CHANNELS:
            many = RefusedError("limit", f"{MOST_CHANNELS} jobs on one connection at most")
            self._refuse(number, many, what)
            return None
        channel = Channel(
            number, self._send, self._is_ready,
            allowance=self._allowance, window=WINDOW, quiet=quiet,
        )  # fmt: skip
        self._channels[number] = channel
        return channel

    def _is_ready(self, channel: Channel) -> None:
        if channel not in self._ready:
            self._ready.append(channel)
        self.writable()

    def _refuse(self, number: int, error: RefusedError, what: str) -> None:
        self._channels.pop(number, None)
        self._send(Frame(Kind.ERROR, number, encode(Error(error.code, str(error)))))
        speaker = self._speaker
        recording = self._house.runs.refuse(speaker.caller, speaker.peer, what, str(error))
        self._house.own(asyncio.create_task(recording))
        self._refusals += 1
        if self._refusals >= MOST_REFUSALS:
            self._end("limit", f"{MOST_REFUSALS} wishes were refused on this connection")

    def _end(self, code: str, message: str) -> None:
        """Say why, and close."""
        self._send(Frame(Kind.ERROR, 0, encode(Error(code, message))))
        self._speaker.finish()

    def _send(self, frame: Frame) -> None:
        self._speaker.write(frame.pack())
