"""The ledger that workers share: what it counts, and what becomes of a row."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import count
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit import ledger as module
from netkit.crowding import ExactCrowding, SharedCrowding
from netkit.errors import StartError
from netkit.ledger import ROWS, SIZE, Account, Ledger
from netkit.limits import Limits
from netkit.origins import groups, origin
from netkit.workers.inheritance import Inheritance

ADDRESS, PREFIX = "per-address", "per-prefix"
NAMES = st.sampled_from([bytes([10, 0, 0, number]) for number in range(6)])
STEPS = st.lists(st.tuples(st.integers(0, 2), NAMES, st.booleans()), max_size=80)


@contextmanager
def accounts(how_many: int) -> Iterator[tuple[Ledger, list[Account], list[int]]]:
    """A ledger, and so many workers' accounts in it with their rows."""
    with ExitStack() as stack:
        ledger = stack.enter_context(closing(Ledger()))
        found, rows = [], []
        for _ in range(how_many):
            row = ledger.take()
            assert row is not None
            rows.append(row)
            found.append(stack.enter_context(closing(Account(ledger.descriptor, row))))
        yield ledger, found, rows


def counted(account: Account, limit: str, name: bytes) -> int:
    """How many of a name there are, as one who comes would learn."""
    for most in count():
        fits = account.add(limit, name, most)
        account.remove(limit, name)
        if fits:
            return most - 1
    raise AssertionError


def play(workers: list[Account], steps: list[tuple[int, bytes, bool]]) -> list[Counter[bytes]]:
    """Come and go; what each worker has in truth."""
    truth: list[Counter[bytes]] = [Counter() for _ in workers]
    for number, name, comes in steps:
        if comes:
            workers[number].add(ADDRESS, name, 0)
            truth[number][name] += 1
        elif truth[number][name]:
            workers[number].remove(ADDRESS, name)
            truth[number][name] -= 1
    return truth


@given(STEPS, st.sampled_from([1, 2, 5, module.WIDTH]))
def test_never_less_than_there_are(steps: list[tuple[int, bytes, bool]], width: int) -> None:
    """Whatever shares a counter: with one counter in all, everything does."""
    with patch.object(module, "WIDTH", width), accounts(3) as (_, workers, _):
        truth = play(workers, steps)
        total = sum(truth, Counter())
        for name in {name for _, name, _ in steps}:
            for account in workers:
                assert counted(account, ADDRESS, name) >= total[name]
                assert counted(account, PREFIX, name) == 0
        if width == 1:
            assert counted(workers[0], ADDRESS, b"anybody") == total.total()


@given(STEPS, st.integers(0, 2))
def test_a_row_that_is_cleared_takes_only_its_own_along(
    steps: list[tuple[int, bytes, bool]], gone: int
) -> None:
    with patch.object(module, "WIDTH", 1), accounts(3) as (ledger, workers, rows):
        truth = play(workers, steps)
        ledger.give_back(rows[gone])
        left = sum((truth[each] for each in range(3) if each != gone), Counter())
        watcher = workers[(gone + 1) % 3]
        # The highest row may be read by nobody now; those that stay are.
        assert counted(watcher, ADDRESS, b"anybody") == left.total()


def test_a_row_is_given_out_again_and_is_empty() -> None:
    with accounts(2) as (ledger, (first, second), rows):
        for _ in range(7):
            first.add(ADDRESS, b"1234", 0)
        first.report(100, 7)
        second.report(30, 2)
        assert second.held() == (130, 9)
        ledger.give_back(rows[0])
        assert second.held() == (30, 2)
        assert counted(second, ADDRESS, b"1234") == 0
        assert ledger.take() == rows[0]
        assert second.held() == (30, 2)


def test_more_processes_than_rows(caplog: pytest.LogCaptureFixture) -> None:
    with closing(Ledger()) as ledger, caplog.at_level(logging.WARNING, "netkit.workers"):
        rows = [ledger.take() for _ in range(ROWS)]
        assert rows == list(range(ROWS))
        assert not caplog.messages
        assert ledger.take() is None
        assert caplog.messages == ["more than 128 workers: this one's limits hold for it alone"]
        ledger.give_back(5)
        assert ledger.take() == 5


def test_memory_is_taken_only_where_it_is_used() -> None:
    with accounts(3) as (ledger, workers, _):
        for account in workers:
            account.add(ADDRESS, b"1234", 0)
        assert os.fstat(ledger.descriptor).st_blocks * 512 < SIZE / 100


def test_two_ledgers_choose_other_counters() -> None:
    """Who knows the code does not know which addresses share a victim's counters."""
    chosen = []
    for _ in range(2):
        with accounts(1) as (_, (account,), _):
            chosen.append([account._cells(ADDRESS, bytes([n])) for n in range(64)])
    assert chosen[0] != chosen[1]


def test_no_memory_to_share() -> None:
    with (
        patch.object(os, "memfd_create", side_effect=OSError(12, "Cannot allocate memory")),
        pytest.raises(StartError, match="no memory that workers can share: Cannot allocate"),
    ):
        Ledger()


def test_a_worker_finds_its_account() -> None:
    with accounts(2) as (ledger, (first, _), rows):
        ledger.share_among(2)
        told = Inheritance(2, 99, (), (os.dup(ledger.descriptor), rows[1]))
        account = told.account()
        assert account is not None
        with closing(account):
            account.report(5, 1)
            assert first.held() == (5, 1)
            assert account.workers == 2
    assert Inheritance(2, 99, ()).account() is None


def test_another_layout_is_left_alone() -> None:
    descriptor = os.memfd_create("another")
    os.ftruncate(descriptor, SIZE // 2)
    assert Inheritance(1, 99, (), (descriptor, 0)).account() is None


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.booleans()),
        max_size=60,
    ),
    st.integers(1, 4),
    st.integers(0, 6),
)
def test_both_ways_of_counting_refuse_the_same(
    steps: list[tuple[int, bool]], per_address: int, per_prefix: int
) -> None:
    """One worker alone decides as one process does, as long as no counters are shared."""
    limits = Limits(per_address=per_address, per_prefix=per_prefix)
    hosts = [f"192.0.{number % 2}.{number}" for number in range(6)]
    exact = ExactCrowding(groups(limits))
    with accounts(1) as (_, (account,), _):
        shared = SharedCrowding(groups(limits), account)
        there: list[bytes] = []
        for number, comes in steps:
            of = origin(hosts[number], limits)
            if comes:
                verdict = shared.admits(of, there)
                if len(there) >= exact.room:
                    assert exact.admits(of, list(there)) == verdict
                else:
                    assert verdict == ""
                if not verdict:
                    there.append(of)
            elif of in there:
                there.remove(of)
                shared.release(of, len(there))
                if not exact.room:
                    exact.release(of, len(there))
