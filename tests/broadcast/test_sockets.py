"""Multicast, broadcast and unicast, on loopback and between hosts of a network of their own."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from netkit.addresses import Address, parse
from netkit.errors import NetkitError, StartError, UsageError
from netkit.feeds.interfaces import find, interfaces
from netkit.feeds.sockets import (
    Incoming,
    Outgoing,
    code_point,
    dropped,
    receiving,
    sending,
)
from tests.broadcast.namespaces import Host, Network, network
from tests.broadcast.wire import Impairment
from tests.peers import peer

GROUP = "239.255.77.1"
LOOPBACK = "127.0.0.1"
DESTINATIONS = {
    "239.1.2.3:5000": "multicast",
    "[ff15::1]:5000": "multicast",
    "[ff02::77%eth0]:5000": "multicast",
    "10.77.0.255:5000": "broadcast",
    "255.255.255.255:5000": "broadcast",
    "10.77.0.2:5000": "unicast",
    "[fd77::2]:5000": "unicast",
    "[fe80::2%eth0]:5000": "unicast",
}
SO_RXQ_OVFL, IP_RECVTTL = 40, 12


def at(text: str) -> Address:
    return parse(text, default_scheme="udp")


@pytest.fixture
def keep() -> Iterator[ExitStack]:
    """Closes what a test opened."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="module")
def net() -> Iterator[Network]:
    with network(3) as made:
        yield made


def listener(keep: ExitStack, where: str, **options: object) -> Incoming:
    found = receiving(at(where), **options)  # type: ignore[arg-type] # a test's options
    keep.callback(found.sock.close)
    found.sock.settimeout(20)
    return found


def sender(keep: ExitStack, where: str, **options: object) -> Outgoing:
    found = sending(at(where), **options)  # type: ignore[arg-type] # a test's options
    keep.callback(found.sock.close)
    return found


def free_port(keep: ExitStack) -> int:
    """A port that is ours until the test ends, on an address where nobody else needs it."""
    sock = keep.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    sock.bind(("127.0.0.2", 0))
    return int(sock.getsockname()[1])


@pytest.mark.parametrize("interface", ["lo", LOOPBACK, str(socket.if_nametoindex("lo"))])
def test_two_listeners_hear_a_group_on_loopback(interface: str, keep: ExitStack) -> None:
    where = f"{GROUP}:{free_port(keep)}"
    listeners = [listener(keep, where, interface=interface) for _ in range(2)]
    out = sender(keep, where, interface=interface)
    out.sock.sendto(b"to all", out.where)
    for each in listeners:
        assert each.sock.recvfrom(100) == (b"to all", (LOOPBACK, out.sock.getsockname()[1]))
    assert (out.kind, out.largest) == ("multicast", 65507)


def test_only_the_own_group_is_heard(keep: ExitStack) -> None:
    port = free_port(keep)
    heard = listener(keep, f"{GROUP}:{port}", interface=LOOPBACK)
    listener(keep, f"239.255.77.2:{port}", interface=LOOPBACK)
    other = sender(keep, f"239.255.77.2:{port}", interface=LOOPBACK)
    alone = sender(keep, f"{LOOPBACK}:{port}")
    ours = sender(keep, f"{GROUP}:{port}", interface=LOOPBACK)
    other.sock.sendto(b"another group", other.where)
    alone.sock.sendto(b"unicast", alone.where)
    ours.sock.sendto(b"ours", ours.where)
    assert heard.sock.recv(100) == b"ours"


def test_without_loopback_this_machine_hears_nothing(keep: ExitStack) -> None:
    where = f"{GROUP}:{free_port(keep)}"
    heard = listener(keep, where, interface=LOOPBACK)
    silent = sender(keep, where, interface="lo", loopback=False)
    loud = sender(keep, where, interface="lo")
    # On lo itself what is sent comes back all the same; what is asked of the kernel is seen here.
    assert silent.sock.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP) == 0
    loud.sock.sendto(b"heard", loud.where)
    assert heard.sock.recv(100) == b"heard"


def test_a_port_for_unicast_is_not_shared(keep: ExitStack) -> None:
    first = listener(keep, f"{LOOPBACK}:0")
    with pytest.raises(StartError, match="the port is taken"):
        receiving(at(f"{LOOPBACK}:{first.sock.getsockname()[1]}"))


@pytest.mark.parametrize(("where", "kind"), DESTINATIONS.items())
@pytest.mark.parametrize("by", ["name", "address"])
def test_between_hosts(where: str, kind: str, by: str, net: Network, keep: ExitStack) -> None:
    one, other, _ = net.hosts
    named = {"name": "eth0", "address": one.ipv6 if "[" in where else one.ipv4}
    with other.entered():
        heard = listener(keep, where, interface="eth0")
    with one.entered():
        out = sender(keep, where, interface=named[by])
    assert (out.kind, heard.kind) == (kind, kind)
    assert out.largest == 1500 - (48 if "[" in where else 28)
    data = bytes(out.largest)
    out.sock.sendto(data, out.where)
    said, source = heard.sock.recvfrom(2000)
    assert said == data
    ours = {one.ipv4, one.ipv6, f"fe80::{one.number}%eth0", f"fe80::{one.number}"}
    assert source[0] in ours
    # An answer finds its way: that is how listeners ask for what they miss.
    heard.sock.sendto(b"again", source)
    out.sock.settimeout(20)
    assert out.sock.recv(100) == b"again"


def test_loopback_off_holds_where_there_is_a_network(net: Network, keep: ExitStack) -> None:
    where = "239.1.2.4:5001"
    with net.hosts[0].entered():
        here = listener(keep, where, interface="eth0")
        silent = sender(keep, where, interface="eth0", loopback=False)
        loud = sender(keep, where, interface="eth0")
    with net.hosts[1].entered():
        there = listener(keep, where, interface="eth0")
    silent.sock.sendto(b"not for us", silent.where)
    loud.sock.sendto(b"for us too", loud.where)
    assert here.sock.recv(100) == b"for us too"
    assert [there.sock.recv(100) for _ in range(2)] == [b"not for us", b"for us too"]


@pytest.mark.parametrize("group", ["232.1.2.3:5002", "[ff35::8000:1]:5002"])
def test_a_source_alone_is_heard(group: str, net: Network, keep: ExitStack) -> None:
    wanted, hearer, unwanted = net.hosts
    source = wanted.ipv6 if "[" in group else wanted.ipv4
    with hearer.entered():
        heard = listener(keep, group, interface="eth0", sources=(source,))
        everybody = listener(keep, group, interface="eth0")
    for host, said in ((unwanted, b"unwanted"), (wanted, b"wanted")):
        with host.entered():
            out = sender(keep, group, interface="eth0")
        out.sock.sendto(said, out.where)
        assert everybody.sock.recv(100) == said  # it has come, so the order is known
    assert heard.sock.recv(100) == b"wanted"


@pytest.mark.parametrize("hops", [None, 1, 7, 255])
def test_hops_and_code_point_arrive(hops: int | None, net: Network, keep: ExitStack) -> None:
    one, other, _ = net.hosts
    for where, level, asked, kinds in (
        ("239.1.2.5:5003", socket.IPPROTO_IP, (IP_RECVTTL, socket.IP_RECVTOS), (2, 1)),
        (
            "[ff15::5]:5003",
            socket.IPPROTO_IPV6,
            (socket.IPV6_RECVHOPLIMIT, socket.IPV6_RECVTCLASS),
            (socket.IPV6_HOPLIMIT, socket.IPV6_TCLASS),
        ),
    ):
        with other.entered():
            heard = listener(keep, where, interface="eth0")
        for option in asked:
            heard.sock.setsockopt(level, option, 1)
        with one.entered():
            out = sender(keep, where, interface="eth0", hops=hops, dscp=code_point("ef"))
        out.sock.sendto(b"marked", out.where)
        _, told, _, _ = heard.sock.recvmsg(100, 200)
        seen = {kind: int.from_bytes(data, sys.byteorder) for _, kind, data in told}
        assert (seen[kinds[0]], seen[kinds[1]]) == (hops or 1, 46 << 2)


@contextmanager
def socat(host: Host, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A socat on a host until the block ends."""
    command = host.command(peer("socat"), *words)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("loopback", [True, False])
def test_socat_hears_multicast(loopback: bool, net: Network, keep: ExitStack) -> None:
    device, address = ("lo", LOOPBACK) if loopback else ("eth0", net.hosts[1].ipv4)
    one, other = (net.hosts[1], net.hosts[1]) if loopback else net.hosts[:2]
    joined = f"UDP4-RECV:5004,bind={GROUP},reuseaddr,ip-add-membership={GROUP}:{address}"
    with socat(other, "-u", joined, "-") as process:
        # The kernel's list of groups: the address in hexadecimal, in the machine's order.
        entry = f"{struct.unpack('=I', socket.inet_aton(GROUP))[0]:08X}"
        while entry not in other.run("cat", "/proc/net/igmp"):
            time.sleep(0.01)  # a process that joins has no event for us
        with one.entered():
            out = sender(keep, f"{GROUP}:5004", interface=device)
        out.sock.sendto(b"from netkit\n", out.where)
        assert process.stdout
        assert process.stdout.readline() == b"from netkit\n"


def test_socat_is_heard(net: Network, keep: ExitStack) -> None:
    one, other, _ = net.hosts
    with other.entered():
        heard = listener(keep, f"{GROUP}:5005", interface="eth0")
    sent = f"UDP4-DATAGRAM:{GROUP}:5005,ip-multicast-if={one.ipv4}"
    subprocess.run(one.command(peer("socat"), "-u", "-", sent), input=b"from socat", check=True)
    assert heard.sock.recvfrom(100)[0] == b"from socat"


def test_what_our_own_buffer_loses_is_told(keep: ExitStack) -> None:
    heard = listener(keep, f"{LOOPBACK}:0", buffer=20_000)
    heard.sock.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
    out = sender(keep, f"{LOOPBACK}:{heard.sock.getsockname()[1]}")
    assert dropped(heard.sock) == 0
    for _ in range(200):
        out.sock.sendto(bytes(1000), out.where)
    lost = dropped(heard.sock)
    heard.sock.setblocking(False)
    for _ in range(200 - lost):
        assert len(heard.sock.recv(2000)) == 1000
    with pytest.raises(BlockingIOError):
        heard.sock.recv(2000)
    assert 0 < lost < 200
    out.sock.sendto(b"one more", out.where)
    _, told, _, _ = heard.sock.recvmsg(100, 100)
    assert [(kind, struct.unpack("=I", data)) for _, kind, data in told] == [(SO_RXQ_OVFL, (lost,))]


def test_the_buffer_that_was_granted_is_told(keep: ExitStack) -> None:
    most = int(Path("/proc/sys/net/core/rmem_max").read_text())
    assert listener(keep, f"{LOOPBACK}:0", buffer=100_000).buffer == 100_000
    program = (
        "from netkit.addresses import Address\n"
        "from netkit.feeds.sockets import receiving\n"
        f"got = receiving(Address('udp', '127.0.0.1', 0), buffer={4 * most})\n"
        "print(got.buffer)\ngot.sock.close()\n"
    )
    unprivileged = [peer("unshare"), "--user", "--map-root-user", sys.executable, "-c", program]
    done = subprocess.run(unprivileged, capture_output=True, text=True, check=True)
    assert int(done.stdout) == most


@pytest.mark.parametrize(
    ("where", "options", "message"),
    [
        ("239.1.2.3:5", {"interface": "nope"}, "--interface 'nope': no interface has .* are lo"),
        ("[ff02::1%nope]:5", {}, r"--to \[ff02::1%nope\]:5: zone 'nope': no interface"),
        ("[ff15::1]:5", {"interface": LOOPBACK}, "is IPv6; give the interface's name"),
        ("239.1.2.3:5", {"interface": "::1"}, "is IPv4; give the interface's name"),
        ("239.1.2.3:5", {"hops": 256}, "--ttl 256: give 1 to 255"),
        ("239.1.2.3:5", {"hops": 0}, "--ttl 0: give 1 to 255"),
        ("239.1.2.3:5", {"dscp": 64}, "--dscp 64: give 0 to 63"),
        ("239.1.2.3:0", {}, "no port 0 to send to"),
        ("no.such.name.invalid:5", {}, "cannot resolve 'no.such.name.invalid'"),
    ],
)
def test_what_cannot_be_sent_to(where: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        sending(at(where), **options)  # type: ignore[arg-type] # a test's options


@pytest.mark.parametrize(
    ("where", "options", "message"),
    [
        ("127.0.0.1:0", {"sources": ("10.0.0.1",)}, "127.0.0.1 is not a multicast group"),
        ("232.1.1.1:0", {"sources": ("::1",)}, "--source ::1: give an IPv4 address"),
        ("232.1.1.1:0", {"sources": ("host",)}, "--source host: give an IPv4 address"),
        ("203.0.113.77:0", {}, "there is no address to use with it"),
    ],
)
def test_what_cannot_be_heard(where: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(NetkitError, match=message):
        receiving(at(where), **options)  # type: ignore[arg-type] # a test's options


def test_where_no_route_leads(net: Network) -> None:
    with net.hosts[0].entered():
        with pytest.raises(StartError, match=r"no route to 203\.0\.113\.77 from"):
            sending(at("203.0.113.77:5"))
        with pytest.raises(UsageError, match=r"--interface lo: \S+ names eth0; give one of them"):
            sending(at("[ff02::1%eth0]:5"), interface="lo")


def test_interfaces_are_found_by_name_address_and_index(net: Network) -> None:
    with net.hosts[2].entered():
        assert {each.name for each in interfaces()} == {"lo", "eth0"}
        eth0 = find("eth0")
        assert [str(each) for each in eth0.addresses if each.version == 4] == ["10.77.0.3/24"]
        assert {find(text) for text in ("10.77.0.3", "fd77::3", str(eth0.index))} == {eth0}


@pytest.mark.parametrize(
    ("text", "value"), [("ef", 46), ("CS6", 48), ("af41", 34), ("0", 0), ("63", 63)]
)
def test_code_points_have_names(text: str, value: int) -> None:
    assert code_point(text) == value


@pytest.mark.parametrize("text", ["64", "-1", "af44", "cs8", "", "٣", "1_0", "999999999999"])
def test_other_code_points_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--dscp"):
        code_point(text)


def test_the_wire_counts_to_the_datagram(net: Network, keep: ExitStack) -> None:
    one, other, _ = net.hosts
    net.impair(Impairment(loss=0.05, duplicate=0.02, reorder=0.03))
    with other.entered():
        heard = listener(keep, "239.1.2.6:5006", interface="eth0", buffer=16 << 20)
    with one.entered():
        out = sender(keep, "239.1.2.6:5006", interface="eth0")
    out.sock.setblocking(True)
    for number in range(2000):
        out.sock.sendto(b"%d" % number, out.where)
    counts = net.counts()
    net.impair(Impairment())
    out.sock.sendto(b"end", out.where)
    arrived = []
    while (data := heard.sock.recv(100)) != b"end":
        arrived.append(int(data))
    assert dropped(heard.sock) == 0
    assert 0 < counts.lost == 2000 - len(set(arrived))
    assert arrived != sorted(arrived)
    if net.wire:  # netem counts these not at all
        assert 0 < counts.duplicated == len(arrived) - len(set(arrived))
        assert counts.passed == len(set(arrived))
        assert counts.reordered > 0
