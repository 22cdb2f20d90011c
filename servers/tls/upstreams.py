"""Where relays lead to: one upstream, and the several of a route.

Of several the one with the fewest open connections is taken, of equals the next in turn.
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from netkit import addresses
from netkit.addresses import Address
from netkit.errors import UsageError
from netkit.servers.tls.health import Health

log = logging.getLogger("netkit.server")

COMMAND = "exec:"


@dataclass(eq=False)
class Upstream:
    """One address, or a command that is started for each connection."""

    name: str
    """As people write it: ``127.0.0.1:8080``, ``unix:/run/app.sock``, ``exec:cat``."""
    address: Address | None = None
    command: tuple[str, ...] = ()
    health: Health = field(default_factory=Health)
    checked: bool = True
    """Whether something tells when it is up again; otherwise nothing takes it down."""
    open: int = 0
    """Connections to it, those that are being made included."""
    connected: int = 0
    failures: int = 0

    def passed(self) -> None:
        """Hear that it was reached."""
        if self.health.passed():
            log.info("upstream up again: %s", self.name)

    def failed(self, why: str) -> None:
        """Hear that it was not; `why` begins with its name."""
        self.failures += 1
        if self.checked and self.health.failed():
            log.warning("upstream down: %s", why)


class Pool:
    """The upstreams of one route; others may have them too."""

    def __init__(self, upstreams: Sequence[Upstream]) -> None:
        self.upstreams = tuple(upstreams)
        self._turn = 0

    def choose(self, tried: Collection[Upstream] = ()) -> Upstream | None:
        """One that is up and was not tried; None if there is none."""
        turn, count = self._turn, len(self.upstreams)
        best = None
        for place in range(turn, turn + count):
            each = self.upstreams[place % count]
            if not each.health.up or each in tried:
                continue
            if best is None or each.open < best.open:
                best, self._turn = each, (place + 1) % count
        return best


def upstream(text: str, *, flag: str, rise: int, fall: int, checked: bool) -> Upstream:
    """Read ``HOST:PORT``, ``unix:PATH`` or ``exec:COMMAND …``. Raises `UsageError`."""
    health = Health(rise, fall)
    if text.startswith(COMMAND):
        return Upstream(text, command=_words(text, flag), health=health, checked=False)
    address = addresses.parse(text, flag=flag)
    if address.scheme not in ("tcp", "unix"):
        hint = "; for TLS add --originate" if address.scheme == "tls" else ""
        raise UsageError(f"{flag} {text}: give HOST:PORT, unix:PATH or exec:COMMAND{hint}")
    if address.scheme == "tcp" and not address.port:
        raise UsageError(f"{flag} {text}: port 0 is nowhere; give the port it listens on")
    name = address.authority if address.scheme == "tcp" else str(address)
    return Upstream(name, address, health=health, checked=checked)


def _words(text: str, flag: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(text.removeprefix(COMMAND)))
    except ValueError as error:
        raise UsageError(f"{flag} {text}: {error}") from None
    if not words or not words[0]:
        raise UsageError(f"{flag} {text}: no command is given; write it like exec:cat")
    return words
