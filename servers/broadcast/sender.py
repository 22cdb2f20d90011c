"""A feed as its sender makes it: numbered, sealed, with parity and heartbeats.

A core: payloads and `now` in, datagrams out, in the order in which they are to be sent.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from netkit.feeds.format import HEADER, MAGIC, SIZE, VERSION, Flag, Kind
from netkit.feeds.parity import OVERHEAD, Parity, Symbol
from netkit.feeds.sealing import Sealing
from netkit.servers.broadcast.batch import Batch
from netkit.servers.broadcast.window import Window

_HEAD = struct.Struct(">2sBBIII")
_TAIL = struct.Struct(">QQ")


@dataclass(frozen=True, slots=True)
class Beats:
    """When heartbeats tell the last number."""

    first: float = 0.2
    """Seconds of silence before the first: the loss of a last datagram is seen so late."""
    longest: float = 5.0
    """Seconds between later ones; the pause doubles up to here."""
    ends: int = 5
    """How often the end is told, every `first` seconds: all may be lost in one burst of loss."""


class Sender:
    """Numbers what is sent, from 1. Whatever it hands out is to be sent, once, in order.

    `now` is in seconds of a clock that does not go back, `time` in ns of Unix time.
    With a `window`, what was sent is kept there; `parity` and `sealing` likewise are optional.
    """

    def __init__(
        self,
        sender: int,
        epoch: int,
        now: float,
        *,
        sealing: Sealing | None = None,
        window: Window | None = None,
        parity: Parity | None = None,
        beats: Beats | None = None,
    ) -> None:
        self._sender, self._epoch = sender, epoch
        self._sealing, self._window, self._parity = sealing, window, parity
        self._beats = beats or Beats()
        self._pause = self._beats.first
        self._ends = 0
        self.sequence = 0
        """The last number sent."""
        self.deadline: float | None = now + self._pause
        """When `tick` is to be called; None if the feed is over."""

    @property
    def following(self) -> int:
        """The next number."""
        return self.sequence + 1

    @property
    def sealed(self) -> bool:
        """Whether each datagram is authenticated."""
        return self._sealing is not None

    @property
    def overhead(self) -> int:
        """Bytes by which the largest datagram exceeds the largest payload."""
        seal = self._sealing.size if self._sealing else 0
        return SIZE + seal + (OVERHEAD if self._parity else 0)

    def send(self, payloads: Sequence[bytes], now: float, time: int) -> list[bytes]:
        """The datagrams for these payloads, and parity where a block is full."""
        if not payloads:
            return []
        head = self._data_head(len(payloads), now)
        sealing, window, parity = self._sealing, self._window, self._parity
        out = []
        for sequence, payload in enumerate(payloads, self.following):
            datagram = head + _TAIL.pack(sequence, time) + payload
            symbols = parity.add(sequence, datagram) if parity else []
            if sealing:
                datagram += sealing.sign(datagram)
            if window is not None:
                window.append(1, len(datagram), {sequence: datagram}.__getitem__, now)
            out.append(datagram)
            out += self._parity_datagrams(symbols, time)
        self._sent(len(payloads), now)
        return out

    def send_batch(
        self, payloads: Sequence[bytes], now: float, time: int
    ) -> tuple[Batch, list[bytes]]:
        """The same datagrams for payloads of equal size as one buffer, and parity to follow it."""
        count, first, sealing = len(payloads), self.following, self._sealing
        header = self._data_head(count, now) + _TAIL.pack(first, time)
        batch = Batch(payloads, header, first, sealing.size if sealing else 0)
        symbols: list[Symbol] = []
        if self._parity:
            for sequence, datagram in enumerate(batch.datagrams(), first):
                symbols += self._parity.add(sequence, datagram)
        if sealing:
            batch.seal(sealing)
        if self._window is not None:
            self._window.append(count, batch.size, batch.kept(), now)
        self._sent(count, now)
        return batch, self._parity_datagrams(symbols, time)

    def tick(self, now: float, time: int) -> list[bytes]:
        """What silence asks for, if `deadline` has come: the rest of the parity, a heartbeat."""
        if self.deadline is None or now < self.deadline:
            return []
        if self._ends:
            return self._end(now, time)
        self._pause = min(self._pause * 2, self._beats.longest)
        self.deadline = now + self._pause
        return [*self._flush(time), self._beat(now, time)]

    def end(self, now: float, time: int) -> list[bytes]:
        """End the feed: nothing may be sent any more, but `tick` tells the end again."""
        self._ends = self._beats.ends
        return [*self._flush(time), *self._end(now, time)]

    def _end(self, now: float, time: int) -> list[bytes]:
        self._ends -= 1
        self.deadline = now + self._beats.first if self._ends else None
        return [self._beat(now, time, Flag.END)]

    def _sent(self, count: int, now: float) -> None:
        self.sequence += count
        self._pause = self._beats.first
        self.deadline = now + self._pause

    def _data_head(self, count: int, now: float) -> bytes:
        """What all data of one call begin with; `extra` is exact for the last of them."""
        flag = self._sealing.flag if self._sealing else 0
        extra = self._kept(now, count - 1)
        return _HEAD.pack(
            MAGIC, VERSION << 4 | Kind.DATA, flag, self._sender, self._epoch, extra
        )  # fmt: skip

    def _kept(self, now: float, more: int = 0) -> int:
        if self._window is None:
            return 0
        self._window.expire(now)
        return min(self._window.most, len(self._window) + more)

    def _beat(self, now: float, time: int, flags: int = 0) -> bytes:
        return self._make(Kind.HEARTBEAT, self.sequence, time, self._kept(now), flags=flags)

    def _flush(self, time: int) -> list[bytes]:
        return self._parity_datagrams(self._parity.flush() if self._parity else [], time)

    def _parity_datagrams(self, symbols: Iterable[Symbol], time: int) -> list[bytes]:
        return [
            self._make(Kind.PARITY, each.sequence, time, each.extra, each.payload)
            for each in symbols
        ]

    def _make(
        self,
        kind: Kind,
        sequence: int,
        time: int,
        extra: int,
        payload: bytes = b"",
        flags: int = 0,
    ) -> bytes:
        made = HEADER.pack(
            MAGIC, VERSION << 4 | kind, flags, self._sender, self._epoch, extra, sequence, time,
        ) + payload  # fmt: skip
        return self._sealing.seal(made) if self._sealing else made
