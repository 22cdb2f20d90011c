"""What can be said of relays: flags, variables and lines of a file, read and checked."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

from netkit.errors import UsageError
from netkit.servers.tls import routes
from netkit.servers.tls.dialing import Dialer
from netkit.servers.tls.originate import Origination
from netkit.servers.tls.relays import Relays
from netkit.servers.tls.routes import Table
from netkit.servers.tls.upstreams import Pool, Upstream, upstream
from netkit.service import Service
from netkit.subprocesses.children import Spawner


@dataclass
class Settings(Service):
    """What can be said of relays; whatever makes no sense raises UsageError."""

    to: tuple[str, ...] = field(
        default=(),
        metadata={"help": "relay to HOST:PORT, unix:PATH or exec:COMMAND; repeatable"},
    )
    route: tuple[str, ...] = field(
        default=(),
        metadata={"help": f"by what the client asks for: {routes.EXAMPLE}; repeatable"},
    )
    send_proxy: Literal["off", "v1", "v2"] = field(
        default="off", metadata={"help": "tell upstreams who the client is: PROXY protocol"}
    )
    connect_timeout: float = field(
        default=5.0, metadata={"help": "seconds to reach an upstream, its TLS included"}
    )
    check_every: float = field(
        default=2.0, metadata={"help": "seconds between checks of an upstream; 0: none"}
    )
    rise: int = field(default=2, metadata={"help": "checks on end that bring an upstream up"})
    fall: int = field(default=3, metadata={"help": "failures on end that take it down"})
    originate: bool = field(
        default=False, metadata={"help": "TLS to upstreams; clients come without, but for --tls"}
    )
    server_name: str | None = field(
        default=None, metadata={"help": "name in an upstream's certificate  [default: its host]"}
    )
    ca_certs: Path | None = field(
        default=None, metadata={"help": "trust these CAs for upstreams, instead of the system's"}
    )
    cert: Path | None = field(
        default=None, metadata={"help": "client certificate (PEM) shown to upstreams"}
    )
    key: Path | None = field(
        default=None, metadata={"help": "its key  [default: in the certificate's file]"}
    )
    insecure: bool = field(
        default=False, metadata={"help": "take any certificate of an upstream: no protection"}
    )
    upstream_alpn: tuple[str, ...] = field(
        default=(), metadata={"help": "protocol to offer to upstreams by ALPN; repeatable"}
    )

    def __post_init__(self) -> None:
        self._check()
        self._known: dict[str, Upstream] = {}
        self.written = [routes.parse(text) for text in self.route]
        named = [
            (each.conditions, Pool([self._upstream(text, "--route") for text in each.to]))
            for each in self.written
        ]
        default = [self._upstream(text, "--to") for text in self.to]
        self.table = Table(named, Pool(default) if default else None)
        names = {each.name for each in fields(Origination)}
        self.context = Origination(**{name: getattr(self, name) for name in names}).context()

    @property
    def relays_something(self) -> bool:
        """Whether there is an upstream at all."""
        return bool(self._known)

    def relays(self, spawner: Spawner) -> Relays:
        """Relays as they were asked for; `spawner` starts commands and stays the caller's."""
        dialer = Dialer(self.connect_timeout, spawner, self.context, self.server_name or "")
        return Relays(
            self.table, list(self._known.values()), dialer,
            introduces=self.send_proxy, every=self.check_every,
        )  # fmt: skip

    def _upstream(self, text: str, flag: str) -> Upstream:
        """The one of that name: it may stand in several routes."""
        found = upstream(
            text, flag=flag, rise=self.rise, fall=self.fall, checked=self.check_every > 0
        )
        if found.command and self.originate:
            raise UsageError(f"{flag} {text}: a command speaks no TLS; leave out --originate")
        return self._known.setdefault(found.name, found)

    def _check(self) -> None:
        least = {"connect_timeout": 0.001, "check_every": 0, "rise": 1, "fall": 1}
        for name, bound in least.items():
            value = getattr(self, name)
            if not value >= bound:  # so that nan fails too
                flag = name.replace("_", "-")
                raise UsageError(f"--{flag} {value:g}: give {bound:g} or more")
        if self.to or self.route:
            return
        for flag in ("originate", "send_proxy"):
            if getattr(self, flag) not in (False, "off"):
                name = flag.replace("_", "-")
                raise UsageError(f"--{name}: to whom? add --to HOST:PORT")
