"""A subscriber proves its address: only who receives there can repeat what was sent there.

The sender stores nothing until then. A cookie is an HMAC of the address and of the
time in steps; those of this step and of the one before are good. DTLS does the
like (RFC 9147 section 5.1).
"""

from __future__ import annotations

import hmac
import secrets
from typing import TypeAlias

COOKIE = 16
"""Bytes of a cookie."""

Peer: TypeAlias = tuple[str, int] | tuple[str, int, int, int]
"""Where a datagram came from, as sockets name it: of IPv6 with flow and scope."""


class Cookies:
    """Cookies of one secret, which is made at random and lives as long as the object.

    `step` is in seconds: a cookie is good for one to two of them. `now` may be of any
    clock that does not go back.
    """

    def __init__(self, step: float = 60.0, secret: bytes | None = None) -> None:
        self._step = step
        self._secret = secret or secrets.token_bytes(32)

    def bake(self, peer: Peer, now: float) -> bytes:
        """The cookie of this address at this time."""
        return self._cookie(peer, int(now // self._step))

    def good(self, cookie: bytes | memoryview, peer: Peer, now: float) -> bool:
        """Whether this was baked for this address, not long ago."""
        at = int(now // self._step)
        fits = [hmac.compare_digest(self._cookie(peer, step), cookie) for step in (at, at - 1)]
        return any(fits)

    def _cookie(self, peer: Peer, step: int) -> bytes:
        # Not the flow: it belongs to a datagram, not to an address.
        scope = peer[3] if len(peer) == 4 else 0
        told = f"{peer[0]} {peer[1]} {scope} {step}".encode()
        return hmac.digest(self._secret, told, "sha256")[:COOKIE]
