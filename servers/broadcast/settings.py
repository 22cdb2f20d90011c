"""What can be said of a broadcast: flags, variables and lines of a file, read and checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from netkit.errors import UsageError
from netkit.feeds import discovery, keys, mdns, sockets
from netkit.servers.broadcast import reading
from netkit.servers.broadcast.sources.message import Template
from netkit.service import Service


@dataclass
class Settings(Service):
    """What can be said of a broadcast; whatever makes no sense raises UsageError."""

    to: tuple[str, ...] = field(
        default=(), metadata={"help": "ADDR:PORT of a group, a network or a host; repeatable"}
    )
    interface: str = field(default="", metadata={"help": "way out for --to: a name or an address"})
    ttl: int | None = field(
        default=None, metadata={"help": "TTL or hop limit of --to  [default: 1 for multicast]"}
    )
    multicast_loop: bool = field(
        default=True, metadata={"help": "whether listeners on this machine hear multicast"}
    )
    dscp: str = field(default="cs0", metadata={"help": "class of --to: 0 to 63, ef, cs1, af41 …"})
    subscribe: str | None = field(
        default=None, metadata={"help": "PORT or HOST:PORT at which listeners may subscribe"}
    )
    max_subscribers: int = field(default=1024, metadata={"help": "subscribers at one time"})
    message: str | None = field(
        default=None,
        metadata={"help": "send this text; {time}, {unix}, {sequence} and {host} are filled in"},
    )
    every: str = field(default="1s", metadata={"help": "pace of --message: 1s, 20ms, 500us"})
    stdin: bool = field(default=False, metadata={"help": "send what comes on standard input"})
    follow: Path | None = field(default=None, metadata={"help": "send a file's lines as it grows"})
    exec: str | None = field(default=None, metadata={"help": "send the lines a command prints"})
    replay: Path | None = field(
        default=None, metadata={"help": "send a recording of netkit listen, at its pace"}
    )
    ingest: tuple[str, ...] = field(
        default=(),
        metadata={"help": "tcp://, tls:// or unix: address that takes what to send; repeatable"},
    )
    framing: Literal["lines", "records"] = field(
        default="lines",
        metadata={"help": "of --stdin and --ingest; a record begins with its length, 4 bytes"},
    )
    rate: str | None = field(
        default=None, metadata={"help": "at most so much: 5000/s of datagrams, 10Mbit/s"}
    )
    count: int = field(default=0, metadata={"help": "end after so many payloads; 0: do not"})
    duration: float = field(default=0.0, metadata={"help": "end after so many seconds; 0: do not"})
    max_size: int = field(
        default=1200, metadata={"help": "bytes of the largest payload; larger ones are refused"}
    )
    raw: bool = field(
        default=False, metadata={"help": "payloads alone, without header: any receiver takes them"}
    )
    sender: str | None = field(
        default=None, metadata={"help": "name of this sender, 8 hex digits  [default: random]"}
    )
    key: Path | None = field(
        default=None, metadata={"help": "seal each datagram with this key (netkit keys new)"}
    )
    window: int = field(
        default=65_536, metadata={"help": "datagrams kept to be sent again when asked; 0: none"}
    )
    repair_rate: str = field(default="50Mbit/s", metadata={"help": "at most so much is sent again"})
    parity: str | None = field(
        default=None, metadata={"help": "K+R: after K datagrams R more, to restore any R lost ones"}
    )
    announce: str | None = field(
        default=None,
        metadata={"help": "name under which listeners find it (DNS-SD); needs the extra discovery"},
    )

    def __post_init__(self) -> None:
        self._check()
        self.destinations = [reading.destination(each) for each in self.to]
        self.code_point = sockets.code_point(self.dscp)
        self.period = reading.seconds(self.every, "--every")
        self.bound = None if self.rate is None else reading.rate(self.rate, "--rate")
        self.repair_bound = reading.bits(self.repair_rate, "--repair-rate")
        self.block = None if self.parity is None else reading.block(self.parity)
        self.name = reading.sender(self.sender)
        self.sealing = None if self.key is None else keys.load_sealing(self.key)
        self.template = None if self.message is None else Template(self.message)

    def _check(self) -> None:
        reading.exactly_one(
            message=self.message, stdin=self.stdin or None, follow=self.follow, exec=self.exec,
            replay=self.replay, ingest=self.ingest or None,
        )  # fmt: skip
        if not self.to and self.subscribe is None:
            raise UsageError("to whom? give --to ADDR:PORT, or --subscribe PORT")
        least = {"count": 0, "duration": 0, "max_size": 1, "window": 0, "max_subscribers": 1}
        for name, bound in least.items():
            reading.at_least(name, getattr(self, name), bound)
        if self.announce is not None:
            discovery.checked(self.announce)
            mdns.require()
        if self.raw:
            reading.none_with_raw(key=self.key, parity=self.parity, sender=self.sender)
