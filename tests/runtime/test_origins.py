"""For whom a connection counts, and what may be asked of that."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit import Limits, UsageError
from netkit.crowding import ExactCrowding
from netkit.origins import groups, origin

EVERYBODY = Limits(loopback=True)


@pytest.mark.parametrize(
    ("host", "counts"),
    [
        ("", b""),
        ("127.0.0.1", b""),
        ("::1", b""),
        ("::ffff:127.9.9.9", b""),
        ("192.0.2.7", bytes([192, 0, 2, 7])),
        ("::ffff:192.0.2.7", bytes([192, 0, 2, 7])),
        ("2001:db8::1", bytes.fromhex("20010db8" + "00" * 11 + "01")),
        ("fe80::1%eth0", bytes.fromhex("fe80" + "00" * 13 + "01")),
    ],
)
def test_origins(host: str, counts: bytes) -> None:
    assert origin(host, Limits()) == counts


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::ffff:127.9.9.9"])
def test_loopback_counts_if_that_is_wanted(host: str) -> None:
    assert origin(host, EVERYBODY)


@given(
    st.one_of(
        st.tuples(st.ip_addresses(v=4), st.integers(1, 32)),
        st.tuples(st.ip_addresses(v=6), st.integers(1, 128)),
    )
)
def test_networks_are_those_of_the_standard_library(
    which: tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int],
) -> None:
    address, bits = which
    limits = Limits(
        per_address=0,
        per_prefix=1,
        loopback=True,
        prefix_ipv4=bits if address.version == 4 else 24,
        prefix_ipv6=bits if address.version == 6 else 64,
    )
    (group,) = groups(limits)
    if address.version == 6 and address.ipv4_mapped:
        return
    expected = ipaddress.ip_network((address, bits), strict=False).network_address.packed
    assert group.of(origin(str(address), limits)) == expected


def test_an_ipv6_host_cannot_evade_by_its_own_addresses() -> None:
    limits = Limits(per_address=5, per_prefix=3)
    crowding = ExactCrowding(groups(limits))
    hosts = [f"2001:db8:0:1::{number:x}" for number in range(1, 6)]
    there: list[bytes] = []
    verdicts = []
    for host in hosts:
        of = origin(host, limits)
        verdicts.append("" if len(there) < crowding.room else crowding.admits(of, there))
        if not verdicts[-1]:
            there.append(of)
    assert verdicts == ["", "", "", "per-prefix", "per-prefix"]
    assert crowding.admits(origin("2001:db8:0:2::1", limits), there) == ""


def test_nothing_is_counted_without_a_limit() -> None:
    limits = Limits(per_address=0)
    assert groups(limits) == []
    assert ExactCrowding(groups(limits)).room > limits.connections


@pytest.mark.parametrize(
    ("given_", "says"),
    [
        ({"per_prefix": -1}, "--limit-per-prefix -1: give 0 (no limit) or more"),
        ({"prefix_ipv4": 0}, "--limit-prefix-ipv4 0: give a number from 1 to 32"),
        ({"prefix_ipv4": 33}, "--limit-prefix-ipv4 33: give a number from 1 to 32"),
        ({"prefix_ipv6": 129}, "--limit-prefix-ipv6 129: give a number from 1 to 128"),
        ({"rate": -0.5}, "--limit-rate -0.5: give 0 (no limit) or more"),
        ({"rate": float("nan")}, "--limit-rate nan: give 0 (no limit) or more"),
        ({"memory": -1}, "--limit-memory -1: give 0 (no limit) or more"),
    ],
)
def test_limits_that_make_no_sense(given_: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as refused:
        Limits(**given_)
    assert str(refused.value) == says
