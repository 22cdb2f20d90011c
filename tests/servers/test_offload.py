"""Work beside the loop: right answers, and nobody waits for another's."""

from __future__ import annotations

import asyncio
import hashlib
from math import prod
from multiprocessing import resource_tracker

import pytest
from hypothesis import given
from hypothesis import strategies as st

import netkit
from netkit.servers.offload import LARGEST, Factor, Scrypt, answer, factors, scrypt
from tests.peers import peer
from tests.servers import listening, output

# One process of multiprocessing's own stays, with a pipe, as long as this one.
resource_tracker.ensure_running()

RFC_7914 = "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
"""Section 12: scrypt("pleaseletmein", "SodiumChloride", 16384, 8, 1, 64) begins with it."""


def test_the_cost_is_that_of_the_standards_example() -> None:
    made = hashlib.scrypt(b"pleaseletmein", salt=b"SodiumChloride", n=16384, r=8, p=1, dklen=64)
    assert made.hex().startswith(RFC_7914)
    assert scrypt(b"x") == hashlib.scrypt(b"x", salt=b"netkit's lesson", n=16384, r=8, p=1)


@given(st.integers(2, 10**6))
def test_factors_are_primes_whose_product_is_the_number(number: int) -> None:
    found = factors(number)
    assert prod(found) == number
    assert found == sorted(found)
    assert all(each % divisor for each in found for divisor in range(2, int(each**0.5) + 1))


@pytest.mark.parametrize("line", [b"", b"1", b"-4", b"four", b"9" * 1000, b"1000000000001"])
def test_what_is_no_such_number_is_told_so(line: bytes) -> None:
    assert answer(line + b"\n") == f"a number from 2 to {LARGEST}, please\n".encode()


async def test_scrypt_over_tcp() -> None:
    async with netkit.serve(Scrypt()) as server, asyncio.TaskGroup() as group:
        port = server.addresses[0].rpartition(":")[2]
        words = (peer("ncat"), "127.0.0.1", port)
        said = [group.create_task(output(*words, given=b"%d\r\n" % each)) for each in range(6)]
        for number, task in enumerate(said):
            assert await task == scrypt(b"%d" % number).hex().encode() + b"\n"


async def test_factor_over_tcp_with_its_pool() -> None:
    async with listening(Factor(processes=2)) as port:
        said = await output(peer("ncat"), "127.0.0.1", port, given=b"600851475143\n12\nx\n")
    assert said == b"600851475143: 71 839 1471 6857\n12: 2 2 3\n" + answer(b"x")
