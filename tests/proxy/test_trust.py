"""Whom ``--proxy-from`` means."""

from __future__ import annotations

import socket

import pytest

from netkit.errors import UsageError
from netkit.trust import Proxy


class Peer:
    """Stands for an accepted socket: what `Proxy` asks of it."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.family = socket.AF_INET6 if ":" in host else socket.AF_INET

    def getpeername(self) -> tuple[str, int]:
        return self.host, 5000


@pytest.mark.parametrize(
    ("trusted", "host", "expected"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("10.0.0.0/8", "10.255.0.1", True),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("10.0.0.0/8", "::ffff:10.0.0.1", True),
        ("::1", "::1", True),
        ("2001:db8::/32", "2001:db8::5", True),
        ("2001:db8::/32", "10.0.0.1", False),
        ("fe80::/10", "fe80::1%eth0", True),
        ("unix", "127.0.0.1", False),
    ],
)
def test_addresses(trusted: str, host: str, expected: bool) -> None:
    assert Proxy((trusted,)).trusts(Peer(host)) is expected  # type: ignore[arg-type]  # stands for a socket


def test_listeners_that_are_not_concerned() -> None:
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as unix:
        for proxy, of_tcp, of_unix in (
            (Proxy(), False, False),
            (Proxy(("unix",)), False, True),
            (Proxy(("10.0.0.0/8", "::1")), True, False),
            (Proxy(("unix", "::1")), True, True),
        ):
            assert proxy.concerns(tcp) is of_tcp
            assert proxy.concerns(unix) is of_unix
        assert Proxy(("unix",)).trusts(unix)
        assert not Proxy(("::/0", "0.0.0.0/0")).trusts(unix)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("lb.example", "--proxy-from 'lb.example': give an IP address, a network such as"),
        ("", "--proxy-from '': give"),
        ("10.0.0.0/33", "--proxy-from '10.0.0.0/33': give"),
        ("10.0.0.1:80", "--proxy-from '10.0.0.1:80': give"),
        ("10.0.0.1/8", "--proxy-from 10.0.0.1/8: no network begins there; did you mean 10.0.0.0/8"),
    ],
)
def test_what_nobody_can_mean(text: str, why: str) -> None:
    with pytest.raises(UsageError) as raised:
        Proxy((text,))
    assert str(raised.value).startswith(why)
