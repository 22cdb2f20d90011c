"""Who sent a datagram: a seal behind its payload that only a holder of the key can make.

Two kinds. HMAC-SHA-256 (RFC 2104, cut to 16 bytes) is fast, but each listener has
the secret too and could seal in the sender's name. Ed25519 (RFC 8032) is slower, and
listeners hold the public key alone. A seal covers all that stands before it.

Replays are another matter: a repeated datagram has a valid seal.
"""

from __future__ import annotations

import hmac
from abc import ABC, abstractmethod

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from netkit.feeds.format import SIZE, Flag, MalformedError

FLAGS = 3
"""Offset of the flags in a datagram."""
SEALS = Flag.HMAC | Flag.ED25519
_SEAL_BITS = int(SEALS)  # arithmetic of enums is slow, and this is done for each datagram
LENGTHS = {Flag.HMAC: 16, Flag.ED25519: 64}
"""Bytes of each kind of seal."""


class Sealing(ABC):
    """What a sender seals with."""

    flag: Flag
    """Set in the header of what is sealed."""
    size: int
    """Bytes that a seal adds to a datagram."""

    @abstractmethod
    def sign(self, covered: bytes | memoryview) -> bytes:
        """The seal of what stands before it, whose header already has `flag`."""

    def seal(self, datagram: bytes) -> bytes:
        """The datagram with `flag` in its header and the seal behind it."""
        flags = bytes((datagram[FLAGS] | self.flag,))
        covered = datagram[:FLAGS] + flags + datagram[FLAGS + 1 :]
        return covered + self.sign(covered)


class Opening(ABC):
    """What a listener tells genuine datagrams by."""

    flag: Flag
    size: int

    @abstractmethod
    def genuine(self, covered: bytes | memoryview, seal: bytes | memoryview) -> bool:
        """Whether the holder of the key has sealed this."""

    def open(self, datagram: bytes | memoryview) -> int:
        """Where the payload ends, of a datagram that `unpack` has taken.

        Raises `MalformedError` with `slug` ``unsealed`` if it has no seal of this kind,
        ``forged`` if its seal was made with another key or for something else.
        """
        end = len(datagram) - self.size
        if datagram[FLAGS] & _SEAL_BITS != self.flag or end < SIZE:
            raise MalformedError("unsealed")
        if not self.genuine(datagram[:end], datagram[end:]):
            raise MalformedError("forged")
        return end


class HmacSeal(Sealing, Opening):
    """Both sides of HMAC-SHA-256 with a secret that they share."""

    flag = Flag.HMAC
    size = LENGTHS[Flag.HMAC]

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def sign(self, covered: bytes | memoryview) -> bytes:
        """The first 16 bytes of HMAC-SHA-256."""
        return hmac.digest(self._secret, covered, "sha256")[: self.size]

    def genuine(self, covered: bytes | memoryview, seal: bytes | memoryview) -> bool:
        """Compared in a time that tells nothing of the right seal."""
        return hmac.compare_digest(self.sign(covered), seal)


class Ed25519Sealing(Sealing):
    """The sender's side of Ed25519."""

    flag = Flag.ED25519
    size = LENGTHS[Flag.ED25519]

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._sign = key.sign

    def sign(self, covered: bytes | memoryview) -> bytes:
        """The signature, 64 bytes."""
        return self._sign(covered)


class Ed25519Opening(Opening):
    """The listeners' side of Ed25519."""

    flag = Flag.ED25519
    size = LENGTHS[Flag.ED25519]

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._verify = key.verify

    def genuine(self, covered: bytes | memoryview, seal: bytes | memoryview) -> bool:
        """Whether the signature fits."""
        try:
            # The library takes a signature as bytes alone.
            self._verify(bytes(seal), covered)
        except InvalidSignature:
            return False
        return True


def payload_end(datagram: bytes | memoryview) -> int:
    """Where the payload ends for a listener without a key, which trusts whatever comes.

    Raises `MalformedError` with `slug` ``seal`` if the seal that the flags tell of cannot
    be there.
    """
    seal = datagram[FLAGS] & _SEAL_BITS
    if not seal:
        return len(datagram)
    end = len(datagram) - LENGTHS.get(Flag(seal), len(datagram))
    if end < SIZE:
        raise MalformedError("seal")
    return end
