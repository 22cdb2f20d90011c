"""Cookies prove that somebody receives where he says, for a while."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netkit.feeds.cookies import COOKIE, Cookies, Peer

HERE: Peer = ("192.0.2.1", 4000)


def test_a_cookie_is_good_for_one_to_two_steps() -> None:
    cookies = Cookies(step=60)
    cookie = cookies.bake(HERE, now=30)
    assert len(cookie) == COOKIE
    assert [cookies.good(cookie, HERE, now) for now in (0, 59, 60, 119, 120)] == [
        True, True, True, True, False,
    ]  # fmt: skip
    assert not cookies.good(cookies.bake(HERE, now=60), HERE, now=59)


def test_another_address_port_scope_or_secret() -> None:
    cookies = Cookies(secret=bytes(32))
    others: list[Peer] = [("192.0.2.2", 4000), ("192.0.2.1", 4001), ("192.0.2.1", 4000, 0, 3)]
    for other in others:
        assert not cookies.good(cookies.bake(other, 0), HERE, 0)
    assert not cookies.good(Cookies().bake(HERE, 0), HERE, 0)
    assert Cookies().bake(HERE, 0) != Cookies().bake(HERE, 0)


def test_the_flow_of_a_datagram_is_not_its_address() -> None:
    cookies = Cookies()
    assert cookies.good(cookies.bake(("fe80::1", 4000, 7, 2), 0), ("fe80::1", 4000, 8, 2), 0)


@given(st.binary(max_size=32))
def test_no_guess_is_good(guess: bytes) -> None:
    assert not Cookies().good(guess, HERE, 0)
    assert not Cookies().good(memoryview(guess), HERE, 0)
