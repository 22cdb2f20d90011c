"""What a peer can make grow, and how far."""

from __future__ import annotations

import contextlib
import resource
from dataclasses import dataclass, field

from netkit.errors import UsageError

DESCRIPTOR_RESERVE = 32
"""Descriptors kept free for what is not a connection: logs, certificates, upstreams."""


OPTIONAL = ("per_address", "per_prefix", "rate", "memory", "idle", "lifetime", "write_buffer")
"""Limits of which 0 means none."""


@dataclass(frozen=True)
class Limits:
    """The bounds of one server; each is a flag ``--limit-…`` with this default."""

    connections: int = field(
        default=10_000,
        metadata={"help": "open connections; beyond it newcomers wait in the kernel's queue"},
    )
    per_address: int = field(
        default=256, metadata={"help": "open connections from one address; 0: no limit"}
    )
    per_prefix: int = field(
        default=0, metadata={"help": "open connections from one network; 0: no limit"}
    )
    prefix_ipv4: int = field(
        default=24, metadata={"help": "bits of an IPv4 address that name its network"}
    )
    prefix_ipv6: int = field(
        default=64, metadata={"help": "bits of an IPv6 address that name its network"}
    )
    loopback: bool = field(
        default=False,
        metadata={"help": "count loopback addresses in --limit-per-address and -prefix too"},
    )
    rate: float = field(
        default=0.0,
        metadata={
            "help": "newcomers a second, of all workers together; beyond it they wait in the "
            "kernel's queue; 0: no limit"
        },
    )
    memory: int = field(
        default=0,
        metadata={
            "help": "MiB of memory, of all workers together; beyond it newcomers wait in the "
            "kernel's queue; 0: no limit"
        },
    )
    handshake: float = field(
        default=10.0,
        metadata={"help": "seconds for the TLS handshake, and for a proxy's header before it"},
    )
    idle: float = field(
        default=3600.0, metadata={"help": "seconds without a byte from the peer; 0: no limit"}
    )
    lifetime: float = field(
        default=0.0,
        metadata={"help": "seconds that a connection may last, whatever it does; 0: no limit"},
    )
    line: int = field(
        default=65_536,
        metadata={"help": "bytes that a stream handler's readline() takes (StreamReader limit)"},
    )
    write_buffer: int = field(
        default=16 * 1024 * 1024,
        metadata={"help": "bytes unsent to one peer; beyond it the connection is cut"},
    )

    def __post_init__(self) -> None:
        for name, least in (("connections", 1), ("handshake", 0.001), ("line", 1)):
            value = getattr(self, name)
            if not value >= least:  # so that nan fails too
                raise UsageError(f"--limit-{name} {value}: give at least {least:g}")
        for name in OPTIONAL:
            value = getattr(self, name)
            if not value >= 0:
                flag = name.replace("_", "-")
                raise UsageError(f"--limit-{flag} {value}: give 0 (no limit) or more")
        for name, most in (("prefix_ipv4", 32), ("prefix_ipv6", 128)):
            value = getattr(self, name)
            if not 1 <= value <= most:
                flag = name.replace("_", "-")
                raise UsageError(f"--limit-{flag} {value}: give a number from 1 to {most}")


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files to the hard one (getrlimit(2)); return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # refused by a sandbox: live with the soft one
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return hard
    return soft


def last_usable_descriptor() -> int:
    """Descriptors at or above this number mean that hardly any are left.

    The kernel hands out the lowest free number, so the number of the newest one
    tells how many are in use at no cost.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(soft - DESCRIPTOR_RESERVE, soft // 2)
