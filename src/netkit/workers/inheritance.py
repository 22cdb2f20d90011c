"""What a worker gets from its supervisor, in one variable of its environment."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from netkit import addresses
from netkit.endpoints import Endpoint
from netkit.ledger import SIZE, Account
from netkit.signals import SPARE

VARIABLE = "NETKIT_INHERITED"

IGNORED = frozenset({signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU})
"""Signals that mean the supervisor."""

BLOCKED = IGNORED | {*SPARE}
"""Signals with which a worker is started blocked, until it has said what it does about them."""


@dataclass(frozen=True)
class Inheritance:
    """Descriptors that stay open across exec(2), and what they are."""

    number: int
    """Which worker it is, from 1."""
    channel: int
    """Descriptor of its end of the pair."""
    sockets: tuple[tuple[str, int], ...]
    """Addresses it serves, with the descriptors of their bound sockets."""
    ledger: tuple[int, int] | None = None
    """Descriptor of what all workers count in, and its row there; None: it counts alone."""
    snapshot: int | None = None
    """Descriptor of where it writes its stack when it is asked to; None: nowhere."""

    def descriptors(self) -> list[int]:
        """All that it names, to be kept open for the worker."""
        found = [self.channel, *(descriptor for _, descriptor in self.sockets)]
        if self.ledger is not None:
            found.append(self.ledger[0])
        if self.snapshot is not None:
            found.append(self.snapshot)
        return found

    def environment(self) -> dict[str, str]:
        """As the worker's `inherited` reads it."""
        told = {
            "number": self.number,
            "channel": self.channel,
            "sockets": self.sockets,
            "ledger": self.ledger,
            "snapshot": self.snapshot,
        }
        return {VARIABLE: json.dumps(told)}

    def endpoints(self) -> list[Endpoint]:
        """The bound sockets; they are the caller's to close."""
        return [
            Endpoint(addresses.parse(url), socket.socket(fileno=descriptor), inherited=True)
            for url, descriptor in self.sockets
        ]

    def account(self) -> Account | None:
        """Its account in the ledger, which lasts as long as the process; ask once.

        None if it has none, or if the supervisor runs an earlier netkit with another layout.
        """
        if self.ledger is None:
            return None
        descriptor, row = self.ledger
        try:
            return Account(descriptor, row) if os.fstat(descriptor).st_size == SIZE else None
        finally:
            os.close(descriptor)


def inherited(environment: Mapping[str, str] = os.environ) -> Inheritance | None:
    """What this process got from a supervisor; None if it has none."""
    text = environment.get(VARIABLE)
    if text is None:
        return None
    told = json.loads(text)
    sockets = tuple((str(url), int(descriptor)) for url, descriptor in told["sockets"])
    ledger = told.get("ledger")
    return Inheritance(
        told["number"],
        told["channel"],
        sockets,
        None if ledger is None else tuple(ledger),
        told.get("snapshot"),
    )
