"""Who calls: names that are proven, and places where nobody would be known."""

from __future__ import annotations

import asyncio
import os
import pwd
import socket
from typing import Any

import pytest

from netkit.addresses import parse
from netkit.errors import UsageError
from netkit.servers.runner.callers import Caller, caller, caller_name, require_trusted


class Transport(asyncio.BaseTransport):
    """What a transport says of its peer."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._extra.get(name, default)  # type: ignore[attr-defined]  # as in asyncio


CERTIFICATE = {
    "subject": ((("organizationName", "Example"),), (("commonName", "alice"),)),
    "subjectAltName": (
        ("DNS", "Build.Example"), ("email", "a@example.org"), ("URI", "spiffe://x/y"),
        ("IP Address", "::1"), ("DirName", (("commonName", "root"),)),
    ),
}  # fmt: skip


def tcp(**more: object) -> Transport:
    sock = type("Socket", (), {"family": socket.AF_INET})()
    ends = {"peername": ("127.0.0.1", 9), "sockname": ("127.0.0.1", 8)}
    return Transport({"socket": sock, **ends, **more})


def names(transport: Transport) -> set[str] | None:
    found = caller(transport)
    return None if found is None else set(found.names)


def test_a_certificate_names_its_subject_and_alternatives() -> None:
    assert names(tcp(peercert=CERTIFICATE)) == {
        "cn:alice", "san:dns:build.example", "san:email:a@example.org", "san:uri:spiffe://x/y",
        "san:ip:::1",
    }  # fmt: skip


def test_a_certificate_without_a_name_is_nobody() -> None:
    assert names(tcp(peercert={"subject": ((("organizationName", "Example"),),)})) is None


def test_loopback_without_a_certificate() -> None:
    assert names(tcp()) == {"loopback"}
    assert names(tcp(peercert={})) == {"loopback"}


@pytest.mark.parametrize(
    "more",
    [
        {"peername": ("192.0.2.1", 9)},
        {"sockname": ("192.0.2.1", 9)},
        {"peername": None},
        {"peername": ("", 0)},
        {"proxy_header": object()},
        {"socket": None},
    ],
)
def test_nobody(more: dict[str, object]) -> None:
    assert names(tcp(**more)) is None


def test_a_unix_peer_is_whom_the_kernel_names_but_not_behind_a_proxy() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert names(Transport({"socket": ours})) == {f"uid:{os.getuid()}"}
        assert names(Transport({"socket": ours, "proxy_header": object()})) is None


def test_names_as_a_list_writes_them() -> None:
    me = pwd.getpwuid(os.getuid())
    assert (
        caller_name(f"user:{me.pw_name}") == f"uid:{me.pw_uid}" == caller_name(f"uid:0{me.pw_uid}")
    )
    assert caller_name("san:ip:2001:DB8::0") == "san:ip:2001:db8::"
    assert caller_name("san:dns:A.B") == "san:dns:a.b"
    for wrong in ("", "cn:", "cn", "CN:x", "uid:-1", "uid:1 ", "group:x", "**", "loopback:x"):
        with pytest.raises(ValueError, match=r"\S"):
            caller_name(wrong)


def test_two_with_the_same_names_are_the_same() -> None:
    one, other = Caller(frozenset({"cn:a", "cn:b"})), Caller(frozenset({"cn:a"}))
    assert one != other
    assert one == Caller(frozenset({"cn:b", "cn:a"}))
    assert str(one) == "cn:a cn:b"


@pytest.mark.parametrize(
    ("address", "verified"),
    [
        ("tcp://127.0.0.1:1", False),
        ("tls://[::1]:1", False),
        ("tcp://127.8.9.10:1", False),
        ("unix:/tmp/x", False),
        ("tls://0.0.0.0:1", True),
    ],
)
def test_places_where_callers_are_known(address: str, verified: bool) -> None:
    require_trusted(parse(address), verified=verified)


@pytest.mark.parametrize(
    "address",
    [
        "tcp://0.0.0.0:1",
        "tls://0.0.0.0:1",
        "tcp://[::]:1",
        "tls://192.0.2.1:1",
        "tcp://x.example:1",
    ],
)
def test_places_where_nobody_would_be_known(address: str) -> None:
    with pytest.raises(UsageError, match="would be unknown"):
        require_trusted(parse(address), verified=False)
