"""What is asked for, by whatever way it came: flags, environment or file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from netkit.addresses import Address
from netkit.cli import standing
from netkit.cli.settings import build
from netkit.cli.watching import Watching
from netkit.errors import UsageError
from netkit.limits import Limits
from netkit.observability.figures import Tally
from netkit.options import TLS, Binding, Clear
from netkit.processes import worker_count
from netkit.server import GRACE
from netkit.service import Service
from netkit.targets import as_service
from netkit.trust import Proxy
from netkit.workers.health import Health


@dataclass(frozen=True)
class Running:
    """How the process runs."""

    loop: str = field(
        default="auto", metadata={"help": "auto, asyncio, uvloop or module:factory; auto: uvloop"}
    )
    workers: str = field(
        default="1",
        metadata={"help": "processes behind the same addresses; auto: one for each core"},
    )
    reload: bool = field(
        default=False,
        metadata={"help": "for development: replace the workers when a source file changes"},
    )
    reload_dir: tuple[Path, ...] = field(
        default=(), metadata={"help": "folder to watch for that; repeatable  [default: this one]"}
    )
    timeout_graceful_shutdown: float = field(
        default=GRACE, metadata={"help": "seconds for open connections at shutdown"}
    )
    drain_spread: float = field(
        default=0.0,
        metadata={"help": "seconds of that over which quiet connections are ended one by one"},
    )
    debug: bool = field(
        default=False,
        metadata={"help": "asyncio's debug mode; names callbacks that block the loop"},
    )
    log_level: Literal["debug", "info", "warning", "error"] = field(
        default="info", metadata={"help": "least level to log"}
    )
    log_format: Literal["text", "json"] = field(
        default="text", metadata={"help": "lines for people, or JSON"}
    )
    access_log: bool = field(default=True, metadata={"help": "one line per connection at its end"})
    app_dir: Path | None = field(
        default=None, metadata={"help": "folder in which to look for modules  [default: this one]"}
    )
    factory: bool = field(
        default=False, metadata={"help": "TARGET is a function that makes the target"}
    )

    def __post_init__(self) -> None:
        for name in ("timeout_graceful_shutdown", "drain_spread"):
            value = getattr(self, name)
            if not value >= 0:  # so that nan fails too
                flag = name.replace("_", "-")
                raise UsageError(f"--{flag} {value:g}: give 0 or more seconds")
        if self.reload_dir and not self.reload:
            raise UsageError("--reload-dir: nothing is reloaded without --reload; add it")
        if self.reload:
            require_watchfiles()
            for folder in self.reload_dir:
                if not folder.is_dir():
                    raise UsageError(f"--reload-dir {folder}: no such folder")


PANELS: tuple[tuple[type, str, str], ...] = (
    (Binding, "", "Where"),
    (TLS, "", "TLS"),
    (Clear, "", "TLS"),
    (Limits, "limit_", "Limits"),
    (Proxy, "", "Where"),
    (Running, "", "Process"),
    (Watching, "", "Watching"),
    (Health, "worker_", "Workers"),
)
"""What every server can be told: dataclass, prefix of its flags, heading."""


@dataclass(frozen=True)
class Asked:
    """What is asked for, by whatever way it came."""

    service: Service
    binding: Binding
    tls: TLS
    clear: Clear
    limits: Limits
    proxy: Proxy
    running: Running
    watching: Watching
    health: Health
    workers: int
    """How many processes."""

    @classmethod
    def from_options(cls, found: object, target: str, options: Mapping[str, Any]) -> Asked:
        """From the target that was found under this name. Raises `UsageError`."""
        service, running = as_service(found, target), build(Running, options)
        tls = build(TLS, options).of(service)
        if tls.ssl_ca_certs is not None and not tls.wanted:
            raise UsageError("--ssl-ca-certs: client certificates need TLS; add --tls")
        return cls(
            service,
            build(Binding, options),
            tls,
            build(Clear, options),
            build(Limits, options, prefix="limit_"),
            build(Proxy, options),
            running,
            build(Watching, options),
            build(Health, options, prefix="worker_"),
            worker_count(running.workers, service, target),
        )

    def supervised(self) -> dict[str, Any]:
        """What the supervisor holds while workers come and go, by key."""
        return {
            **standing.by_key(self.binding),
            "tls": self.tls.wanted,
            "workers": self.running.workers,
            "timeout-graceful-shutdown": self.running.timeout_graceful_shutdown,
            "admin": self.watching.admin,
            **standing.by_key(self.health, "worker_"),
        }

    def tally(self) -> Tally | None:
        """What counts connections, if anybody can ask."""
        return None if self.watching.admin is None else Tally()

    def addresses(self) -> list[Address]:
        """Where to listen. Raises `UsageError`."""
        return self.binding.addresses(self.service, self.tls.wanted)


def require_watchfiles() -> None:
    """Raise `UsageError` if what ``--reload`` needs is not installed."""
    if find_spec("watchfiles") is None:  # not imported: each worker asks too
        raise UsageError(
            "--reload: watchfiles is not installed: pip install 'netkit-serve[reload]'"
        )
