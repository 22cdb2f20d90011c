"""Addresses as people write them, right and wrong, and back to text."""

from __future__ import annotations

import ipaddress
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.addresses import LONGEST_PATH, Address, parse
from netkit.errors import UsageError


@pytest.mark.parametrize(
    ("text", "address", "url"),
    [
        ("8000", Address("tcp", "127.0.0.1", 8000), "tcp://127.0.0.1:8000"),
        ("0", Address("tcp", "127.0.0.1", 0), "tcp://127.0.0.1:0"),
        ("localhost:80", Address("tcp", "localhost", 80), "tcp://localhost:80"),
        ("[::1]:80", Address("tcp", "::1", 80), "tcp://[::1]:80"),
        ("[fe80::1%eth0]:80", Address("tcp", "fe80::1%eth0", 80), "tcp://[fe80::1%eth0]:80"),
        ("tcp://0.0.0.0:1", Address("tcp", "0.0.0.0", 1), "tcp://0.0.0.0:1"),
        ("TLS://[::]:6697", Address("tls", "::", 6697), "tls://[::]:6697"),
        ("tls://6697", Address("tls", "127.0.0.1", 6697), "tls://127.0.0.1:6697"),
        ("udp://239.1.2.3:9999", Address("udp", "239.1.2.3", 9999), "udp://239.1.2.3:9999"),
        ("unix:/run/x.sock", Address("unix", path="/run/x.sock"), "unix:/run/x.sock"),
        ("unix:///run/x.sock", Address("unix", path="/run/x.sock"), "unix:/run/x.sock"),
        ("unix:x.sock", Address("unix", path="x.sock"), "unix:x.sock"),
        ("unix:@name", Address("unix", path="@name"), "unix:@name"),
        ("fd://3", Address("fd", fd=3), "fd://3"),
    ],
)
def test_reads_and_writes(text: str, address: Address, url: str) -> None:
    assert parse(text) == address
    assert str(address) == url


def test_defaults_are_the_callers() -> None:
    assert parse("6697", default_scheme="tls", default_host="::1") == Address("tls", "::1", 6697)
    assert parse("udp://53", default_scheme="tls").scheme == "udp"


def test_an_abstract_name_begins_with_nul_for_the_kernel() -> None:
    assert parse("unix:@name").socket_path == "\0name"
    assert parse("unix:./@name").socket_path == "./@name"


@pytest.mark.parametrize(
    ("text", "why", "example"),
    [
        ("", "it is empty", "127.0.0.1:8000"),
        (":80", "the host is missing", "127.0.0.1:8000, or 0.0.0.0:8000"),
        ("tcp://:80", "the host is missing", "127.0.0.1:8000, or 0.0.0.0:8000"),
        ("localhost", "the port is missing", "localhost:8000"),
        ("localhost:", "the port is missing", "localhost:8000"),
        ("[::1]", "the port is missing", "[::1]:8000"),
        ("[::1", "the brackets do not match", "[::1]:8000"),
        ("[::1]80", "the brackets do not match", "[::1]:8000"),
        ("[localhost]:80", "'localhost' in brackets is not an IPv6 address", "[::1]:8000"),
        ("[fe80::1%]:80", "'fe80::1%' in brackets is not an IPv6 address", "[::1]:8000"),
        ("::1", "an IPv6 address needs brackets and a port", "[::1]:8000"),
        ("::1:80:x", "not a host name", "127.0.0.1:8000"),
        ("localhost:65536", "'65536' is not a port (0 to 65535)", "127.0.0.1:8000"),
        ("65536", "'65536' is not a port", "127.0.0.1:8000"),
        ("localhost:1_0", "'1_0' is not a port", "127.0.0.1:8000"),
        ("localhost:٨٠", "is not a port", "127.0.0.1:8000"),
        ("localhost:-1", "'-1' is not a port", "127.0.0.1:8000"),
        ("a b:80", "not a host name", "127.0.0.1:8000"),
        ("localhost:80/path", "'80/path' is not a port", "127.0.0.1:8000"),
        ("user@host:80", "not a host name", "127.0.0.1:8000"),
        ("a" * 254 + ":80", "not a host name", "127.0.0.1:8000"),
        ("http://localhost:80", "'http' is not one of tcp, tls, udp, unix, fd", "tcp://127"),
        ("unix:", "the path is missing", "unix:/run/x.sock"),
        ("unix:@", "the path is missing", "unix:/run/x.sock"),
        ("unix://x.sock", "a relative path has no slashes before it", "unix:x.sock"),
        ("unix:a\0b", "a path holds no NUL character", "unix:@name"),
        ("unix:/" + "x" * 200, f"201 bytes where the kernel allows {LONGEST_PATH}", "unix:/run"),
        ("fd://x", "'x' is not a descriptor", "fd://3"),
        ("fd://", "'' is not a descriptor", "fd://3"),
    ],
)
def test_says_in_one_line_what_is_wrong(text: str, why: str, example: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text, flag="--bind")
    line = str(caught.value)
    assert line.startswith("--bind ")
    assert why in line
    assert f"write it like {example}" in line
    assert "\n" not in line
    assert len(line) < 200


names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\.[a-z]{1,5}){0,3}", fullmatch=True)
hosts = names | st.ip_addresses().map(lambda ip: ip.compressed)
ports = st.integers(0, 65535)
paths = st.text(string.printable + "äß☃@/:%", min_size=1, max_size=40).filter(
    lambda path: path != "@" and len(path.encode()) <= LONGEST_PATH
)
addresses = (
    st.builds(Address, st.sampled_from(["tcp", "tls", "udp"]), hosts, ports)
    | st.builds(lambda path: Address("unix", path=path), paths)
    | st.builds(lambda fd: Address("fd", fd=fd), st.integers(0, 999_999_999))
)


@given(addresses)
def test_every_address_survives_its_text(address: Address) -> None:
    assert parse(str(address)) == address


@given(st.ip_addresses(v=6), ports)
def test_ipv6_is_read_in_any_notation(ip: ipaddress.IPv6Address, port: int) -> None:
    assert parse(f"[{ip.exploded}]:{port}").host == ip.exploded


@given(st.text(max_size=30) | st.text("[]:/@%.0123456789tcpunixfd", max_size=20))
def test_any_text_is_an_address_or_one_clear_line(text: str) -> None:
    line = ""
    try:
        address = parse(text)
    except UsageError as error:
        line = str(error)
    if line:
        assert len(line.splitlines()) == 1
        assert "write it like" in line
    else:
        assert parse(str(address)) == address
