"""Seals: made by the holder of a key, refused when anything is changed or missing."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from netkit.feeds.format import SIZE, Flag, Header, Kind, MalformedError, unpack
from netkit.feeds.sealing import (
    Ed25519Opening,
    Ed25519Sealing,
    HmacSeal,
    Opening,
    Sealing,
    payload_end,
)

SECRET = bytes(range(32))
KEY = Ed25519PrivateKey.from_private_bytes(SECRET)
BOTH_SIDES: dict[str, tuple[Sealing, Opening]] = {
    "hmac": (HmacSeal(SECRET), HmacSeal(SECRET)),
    "ed25519": (Ed25519Sealing(KEY), Ed25519Opening(KEY.public_key())),
}
STRANGERS: dict[str, Opening] = {
    "hmac": HmacSeal(bytes(32)),
    "ed25519": Ed25519Opening(Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()),
}
PLAIN = Header(Kind.DATA, 1, 2, 3, 4).pack() + b"payload"
each_kind = pytest.mark.parametrize("kind", BOTH_SIDES)


def refusal(opening: Opening, datagram: bytes) -> str:
    with pytest.raises(MalformedError) as caught:
        opening.open(datagram)
    return caught.value.slug


@each_kind
@given(payload=st.binary(max_size=64), flags=st.sampled_from([Flag(0), Flag.END]))
def test_what_is_sealed_is_opened(kind: str, payload: bytes, flags: Flag) -> None:
    sealing, opening = BOTH_SIDES[kind]
    plain = Header(Kind.HEARTBEAT, 1, 2, 3, 4, flags=flags).pack() + payload
    sealed = sealing.seal(plain)
    assert len(sealed) == len(plain) + sealing.size
    assert unpack(sealed) == unpack(plain).flagged(sealing.flag)
    assert sealed[SIZE : opening.open(sealed)] == payload
    assert opening.open(memoryview(sealed)) == payload_end(sealed) == len(plain)


def test_the_hmac_is_that_of_the_specification() -> None:
    sealed = BOTH_SIDES["hmac"][0].seal(PLAIN)
    assert sealed[3] == Flag.HMAC
    assert sealed[-16:] == hmac.new(SECRET, sealed[:-16], hashlib.sha256).digest()[:16]


def test_the_signature_covers_the_header_with_its_flag() -> None:
    sealed = BOTH_SIDES["ed25519"][0].seal(PLAIN)
    assert sealed[3] == Flag.ED25519
    KEY.public_key().verify(sealed[-64:], sealed[:-64])


@each_kind
@given(data=st.data())
def test_any_changed_bit_is_noticed(kind: str, data: st.DataObject) -> None:
    sealing, opening = BOTH_SIDES[kind]
    changed = bytearray(sealing.seal(PLAIN))
    bit = data.draw(st.integers(0, 8 * len(changed) - 1))
    changed[bit // 8] ^= 1 << bit % 8
    assert refusal(opening, bytes(changed)) in {"forged", "unsealed"}


@each_kind
def test_another_key(kind: str) -> None:
    assert refusal(STRANGERS[kind], BOTH_SIDES[kind][0].seal(PLAIN)) == "forged"


@each_kind
def test_no_seal_where_a_key_is_set(kind: str) -> None:
    assert refusal(BOTH_SIDES[kind][1], PLAIN) == "unsealed"
    assert refusal(BOTH_SIDES[kind][1], Header(Kind.DATA, 1, 2, 3, 4).pack()) == "unsealed"


@each_kind
def test_the_other_kind_of_seal(kind: str) -> None:
    (other,) = BOTH_SIDES.keys() - {kind}
    assert refusal(BOTH_SIDES[kind][1], BOTH_SIDES[other][0].seal(PLAIN)) == "unsealed"


@each_kind
def test_both_flags_at_once(kind: str) -> None:
    sealed = bytearray(BOTH_SIDES[kind][0].seal(PLAIN))
    sealed[3] |= Flag.HMAC | Flag.ED25519
    assert refusal(BOTH_SIDES[kind][1], bytes(sealed)) == "unsealed"


@each_kind
def test_a_flag_on_a_datagram_too_short_for_its_seal(kind: str) -> None:
    sealing, opening = BOTH_SIDES[kind]
    short = Header(Kind.DATA, 1, 2, 3, 4, flags=sealing.flag).pack() + bytes(sealing.size - 1)
    assert refusal(opening, short) == "unsealed"
    with pytest.raises(MalformedError, match="seal"):
        payload_end(short)


def test_without_a_key_both_flags_at_once_are_malformed() -> None:
    both = Header(Kind.DATA, 1, 2, 3, 4, flags=Flag.HMAC | Flag.ED25519).pack() + bytes(100)
    with pytest.raises(MalformedError, match="seal"):
        payload_end(both)


def test_without_a_key_nothing_is_cut_from_what_has_no_seal() -> None:
    assert payload_end(PLAIN) == len(PLAIN)
