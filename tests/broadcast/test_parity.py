"""Parity: what was lost of a block is computed from the rest, and nothing else ever."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netkit.errors import UsageError
from netkit.feeds import parity as module
from netkit.feeds.format import SIZE, Header, Kind, MalformedError
from netkit.feeds.parity import OVERHEAD, Parity, Restored, Restorer, Symbol

PAYLOADS = st.lists(st.binary(max_size=30), min_size=1, max_size=12)


def datagram(sequence: int, payload: bytes) -> bytes:
    return Header(Kind.DATA, 1, 2, sequence, 10**18 + sequence).pack() + payload


def restored(sequence: int, payload: bytes) -> Restored:
    return Restored(sequence, 10**18 + sequence, payload)


def block(payloads: list[bytes], parity: int = 1, first: int = 1) -> list[Symbol]:
    """The symbols of one block."""
    made = Parity(len(payloads), parity)
    symbols = [
        symbol
        for sequence, payload in enumerate(payloads, first)
        for symbol in made.add(sequence, datagram(sequence, payload))
    ]
    assert made.flush() == []
    return symbols


def keep(restorer: Restorer, sequence: int, payload: bytes, seal: int = 0) -> list[Restored]:
    whole = datagram(sequence, payload) + b"S" * seal
    return restorer.keep(sequence, 1, whole, len(whole), seal)


def test_the_symbol_of_one_is_as_specified() -> None:
    (symbol,) = block([b"hello"], first=7)
    time = (10**18 + 7).to_bytes(8, "big")
    assert symbol == (7, 1 << 16 | 1 << 8, b"\x00\x05" + time + b"hello")


def test_one_symbol_is_the_exclusive_or() -> None:
    (symbol,) = block([b"\x01\x02", b"\x04"], first=1)
    one = b"\x00\x02" + (10**18 + 1).to_bytes(8, "big") + b"\x01\x02"
    other = b"\x00\x01" + (10**18 + 2).to_bytes(8, "big") + b"\x04\x00"
    assert symbol.payload == bytes(a ^ b for a, b in zip(one, other, strict=True))
    assert len(symbol.payload) == OVERHEAD + 2


@settings(deadline=None)
@given(PAYLOADS, st.integers(1, 4), st.data())
def test_any_k_of_all_restore_the_rest(
    payloads: list[bytes], parity: int, data: st.DataObject
) -> None:
    first = data.draw(st.integers(1, 2**63))
    symbols = block(payloads, parity, first)
    assert [symbol.extra & 255 for symbol in symbols] == list(range(parity))
    parts: list[int | Symbol] = [*range(len(payloads)), *symbols]
    arriving = data.draw(st.permutations(parts))[: len(payloads)]
    restorer = Restorer()
    got = []
    seal = data.draw(st.sampled_from([0, 16]))
    for part in arriving:
        if isinstance(part, Symbol):
            got += restorer.parity(*part)
        else:
            got += keep(restorer, first + part, payloads[part], seal)
    lost = sorted(set(range(len(payloads))) - set(arriving))
    assert sorted(got) == [restored(first + at, payloads[at]) for at in lost]


@settings(deadline=None)
@given(st.lists(st.booleans(), min_size=8, max_size=8), st.integers(1, 3), st.randoms())
def test_more_lost_than_parity_can_carry(
    lost: list[bool], parity: int, order: random.Random
) -> None:
    payloads = [bytes([at]) * at for at in range(8)]
    restorer = Restorer()
    got = []
    events: list[int | Symbol] = [at for at in range(8) if not lost[at]]
    events += block(payloads, parity)
    order.shuffle(events)
    for event in events:
        if isinstance(event, Symbol):
            got += restorer.parity(*event)
        else:
            got += keep(restorer, 1 + event, payloads[event])
    wanted = [restored(1 + at, payloads[at]) for at in range(8) if lost[at]]
    # An order in which parity precedes data may restore what then comes as well.
    if sum(lost) > parity:
        assert got == []
    else:
        assert set(wanted) <= set(got)
        assert all(each == restored(each.sequence, payloads[each.sequence - 1]) for each in got)


def test_what_a_repair_brings_restores_the_rest() -> None:
    payloads = [b"a", b"bb", b"ccc"]
    (symbol,) = block(payloads)
    restorer = Restorer()
    keep(restorer, 1, b"a")
    assert restorer.parity(*symbol) == []
    assert keep(restorer, 3, b"ccc") == [restored(2, b"bb")]


def test_a_batch_is_kept_as_one() -> None:
    payloads = [bytes([at]) * 8 for at in range(6)]
    (symbol,) = block(payloads)
    restorer = Restorer()
    run = b"".join(datagram(at + 1, payloads[at]) + b"S" * 16 for at in range(5))
    assert restorer.keep(1, 5, memoryview(run), SIZE + 8 + 16, 16) == []
    assert restorer.parity(*symbol) == [restored(6, payloads[5])]
    again = Restorer()
    assert again.parity(*symbol) == []
    assert again.keep(1, 5, run, SIZE + 8 + 16, 16) == [restored(6, payloads[5])]


def test_a_shorter_block_at_the_end_of_a_feed() -> None:
    parity = Parity(10, 2)
    for sequence in (1, 2, 3):
        assert parity.add(sequence, datagram(sequence, b"x" * sequence)) == []
    symbols = parity.flush()
    assert [symbol.extra for symbol in symbols] == [3 << 16 | 2 << 8, 3 << 16 | 2 << 8 | 1]
    restorer = Restorer()
    keep(restorer, 2, b"xx")
    assert restorer.parity(*symbols[0]) == []
    assert restorer.parity(*symbols[1]) == [restored(1, b"x"), restored(3, b"xxx")]


def test_a_block_that_is_restored_needs_no_more() -> None:
    symbols = block([b"a", b"b"], 2)
    restorer = Restorer()
    keep(restorer, 1, b"a")
    assert restorer.parity(*symbols[0]) == [restored(2, b"b")]
    assert restorer.parity(*symbols[1]) == []
    assert restorer.parity(*symbols[0]) == []


MALFORMED = [
    pytest.param(1, 0x01_02_01_00, bytes(20), id="high bits"),
    pytest.param(1, 0x00_00_01_00, bytes(20), id="no data"),
    pytest.param(1, 0x00_02_00_00, bytes(20), id="no parity"),
    pytest.param(1, 0x00_02_01_01, bytes(20), id="index"),
    pytest.param(1, 0x00_FF_02_00, bytes(20), id="larger than the field"),
    pytest.param(1, 0x00_02_01_00, bytes(9), id="short"),
    pytest.param(0, 0x00_02_01_00, bytes(20), id="number 0"),
    pytest.param(2**64 - 1, 0x00_02_01_00, bytes(20), id="beyond the last number"),
]


@pytest.mark.parametrize(("first", "extra", "payload"), MALFORMED)
def test_malformed(first: int, extra: int, payload: bytes) -> None:
    with pytest.raises(MalformedError, match="parity"):
        Restorer().parity(first, extra, payload)


def test_symbols_unlike_others_of_their_block() -> None:
    restorer = Restorer()
    restorer.parity(1, 0x00_04_02_00, bytes(20))
    for extra, size in ((0x00_05_02_01, 20), (0x00_04_03_01, 20), (0x00_04_02_01, 21)):
        with pytest.raises(MalformedError, match="parity"):
            restorer.parity(1, extra, bytes(size))


def test_contradictions_restore_nothing() -> None:
    too_long = Restorer()
    keep(too_long, 1, b"longer than the symbol")
    assert too_long.parity(1, 0x00_02_01_00, bytes(12)) == []
    length = Restorer()
    keep(length, 1, b"")
    assert length.parity(1, 0x00_02_01_00, b"\xff" * 12) == []
    rest = Restorer()
    (symbol,) = block([b"a", b"b"])
    keep(rest, 1, b"a")
    assert rest.parity(symbol.sequence, symbol.extra, symbol.payload + b"x") == []
    assert too_long.failed == length.failed == rest.failed == 1


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 40), st.integers(0, 2**24 - 1), st.binary(max_size=40))
        | st.tuples(st.integers(1, 40), st.none(), st.binary(max_size=40)),
        max_size=60,
    )
)
def test_anything_may_come(events: list[tuple[int, int | None, bytes]]) -> None:
    restorer = Restorer(datagrams=10, blocks=3, size=300)
    slugs = set()
    for number, extra, payload in events:
        if extra is None:
            keep(restorer, number, payload)
            continue
        # Small figures, so that blocks have the chance to be complete.
        small = extra & 0x00_07_03_03
        try:
            restorer.parity(number, small, payload)
        except MalformedError as error:
            slugs.add(error.slug)
    assert slugs <= {"parity"}


def sizes(value: object, seen: set[int]) -> Iterator[int]:
    """Bytes of an object and of all that it holds."""
    if id(value) in seen or isinstance(value, type):
        return
    seen.add(id(value))
    yield sys.getsizeof(value)
    slots = getattr(type(value), "__slots__", ())
    inside: list[object] = [getattr(value, name) for name in slots] if slots else []
    inside += list(getattr(value, "__dict__", {}).values())
    if isinstance(value, dict):
        inside += [*value.keys(), *value.values()]
    elif isinstance(value, tuple | list | set) or type(value).__name__ == "deque":
        inside += list(value)  # type: ignore[call-overload]  # a deque is one of them
    for each in inside:
        yield from sizes(each, seen)


def test_it_keeps_no_more_than_it_may() -> None:
    restorer = Restorer(datagrams=50, blocks=4, size=100_000)
    for number in range(1, 20_000):
        if number % 10:
            keep(restorer, number, b"x" * 1000)
        elif number % 20:
            restorer.parity(number + 10**9, 0x00_80_80_00, bytes(1000))
            restorer.parity(number + 10**9, 0x00_80_80_01, bytes(1000))
    assert sum(sizes(restorer, set())) < 200_000
    huge = Restorer(size=100_000)
    for number in range(1, 1000):
        huge.parity(number * 1000, 0x00_FF_01_00, bytes(60_000))
    assert sum(sizes(huge, set())) < 250_000


@pytest.mark.parametrize(("data", "parity"), [(0, 1), (1, 0), (255, 2), (256, 1)])
def test_numbers_that_do_not_fit(data: int, parity: int) -> None:
    with pytest.raises(UsageError, match="together at most 256"):
        Parity(data, parity)


@pytest.fixture
def without_zfec(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    module._has_zfec.cache_clear()
    monkeypatch.setitem(sys.modules, "zfec", None)
    yield
    module._has_zfec.cache_clear()


@pytest.mark.usefixtures("without_zfec")
def test_without_the_extra() -> None:
    with pytest.raises(UsageError, match=r"pip install 'netkit-serve\[parity\]'"):
        Parity(4, 2)
    assert block([b"a", b"b"])
    restorer = Restorer()
    assert restorer.parity(1, 0x00_04_02_00, bytes(20)) == []
    assert restorer.lacking
