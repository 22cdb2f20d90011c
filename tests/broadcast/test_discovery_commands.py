"""``netkit serve broadcast --announce`` and ``netkit discover``, beside Avahi too.

mDNS is kept to the loopback interface here, or to namespaces: nothing leaves the machine.
"""

from __future__ import annotations

import asyncio
import secrets
import shlex
import socket
from pathlib import Path

import pytest

from netkit.servers.broadcast.places import host_name
from tests.broadcast.avahi import avahi
from tests.broadcast.broadcasting import broadcasting
from tests.broadcast.discovering import discovered, output, running, said, unheard_of
from tests.broadcast.namespaces import DEVICE, Host, network
from tests.commands import netkit
from tests.runtime.process import COMMAND, LOOPS


@pytest.mark.asyncio(loop_factories=["asyncio"])  # of the test itself
@pytest.mark.parametrize("loop", LOOPS)
async def test_discover_and_listen_by_name(loop: str) -> None:
    name = unheard_of()
    group = f"239.255.{secrets.randbelow(256)}.{secrets.randbelow(256)}:9999"
    arguments = ["--to", group, "--interface", "lo", "--message", "{sequence}", "--every", "20ms"]
    arguments += ("--announce", name, "--sender", "1a2b3c4d", "--subscribe", "127.0.0.1:0")
    async with broadcasting(*arguments, loop=loop) as server:
        await server.logged(f"announced as {name!r} on lo")
        words = ("--interface", "127.0.0.1", "--loop", loop)
        found = await asyncio.to_thread(discovered, *words)
        (ours,) = [each for each in found if each["name"] == name]
        assert ours == {
            "name": name, "host": host_name(0x1A2B3C4D).removesuffix("."),
            "addresses": ["127.0.0.1"], "interface": "lo", "sender": "1a2b3c4d", "raw": False,
            "seal": None, "to": [group], "subscribe": f"127.0.0.1:{server.ports[0]}",
        }  # fmt: skip
        shown = await output("discover", "--interface", "lo", "--loop", loop)
        assert [group in line for line in shown.splitlines() if name in line] == [True]
        # Without --interface: it listens where it was found.
        payloads = await output("listen", name, "--count", "3", "--quiet", "--loop", loop)
        first, *rest = map(int, payloads.split())
        assert rest == [first + 1, first + 2]
    assert not server.complaints("taken", "Error")


@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_raw_feeds_and_subscriptions_are_listened_to_as_they_are() -> None:
    raw, subscription = unheard_of(), unheard_of()
    group = f"239.255.{secrets.randbelow(256)}.{secrets.randbelow(256)}:9999"
    common = ("--message", "beat", "--every", "20ms", "--announce")
    async with (
        broadcasting(
            "--to", group, "--interface", "lo", "--raw", *common, raw, loop="uvloop"
        ) as one,
        broadcasting("--subscribe", "127.0.0.1:0", *common, subscription, loop="uvloop") as other,
    ):
        for server in (one, other):
            await server.logged("announced as")
        for name in (raw, subscription):
            assert await output("listen", name, "-c", "2", "--quiet") == "beat\nbeat\n"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["discover", "--timeout", "0"], "--timeout 0: give more than 0"),
        (["discover", "--interface", "nosuch0"], "--interface 'nosuch0': no interface has that"),
        (["listen", "it", "--subscribe", "9"], "it --subscribe: that is two feeds"),
        (["serve", "broadcast", "--to", "127.0.0.1:9", "--message", "x", "--announce", "a.b"],
         "--announce 'a.b': give a name"),
    ],
)  # fmt: skip
def test_usage(words: list[str], why: str) -> None:
    ended = netkit(*words)
    assert ended.status == 2
    assert why in ended.errors
    assert len(ended.errors.splitlines()) == 1


@pytest.mark.asyncio(loop_factories=["asyncio"])
@pytest.mark.parametrize("loop", LOOPS)
async def test_avahi_finds_ours_and_we_find_its(loop: str, tmp_path: Path) -> None:
    with network(2) as net, avahi(net.hosts[1], tmp_path) as daemon:
        to = ("--to", "239.1.2.3:9999", "--to", "[ff02::77%eth0]:9998", "--subscribe", "9997")
        words = [*COMMAND, "serve", "broadcast", *to, "--interface", DEVICE, "--message", "x"]
        words += ("--announce", "Line 3", "--sender", "1a2b3c4d", "--loop", loop)
        theirs = daemon.command(
            "avahi-publish", "-s", "Käse", "_netkit-feed._udp", "9999",
            "txtvers=1", "raw", "to=239.9.9.9:9999",
        )  # fmt: skip
        async with running(*net.hosts[0].command(*words)) as server, running(*theirs) as other:
            await said(server, "announced as 'Line 3' on eth0")
            await said(other, "Established")
            lines = daemon.run("avahi-browse", "-rtp", "_netkit-feed._udp").splitlines()
            ours = [line.split(";") for line in lines if line.startswith("=") and "1a2b" in line]
            assert {line[2] for line in ours} == {"IPv4", "IPv6"}
            for line in ours:
                assert line[3:5] == [r"Line\0323", "_netkit-feed._udp"]
                assert line[8] == "9997"
                assert sorted(shlex.split(line[9])) == [
                    "format=1", "sender=1a2b3c4d", "subscribe=9997", "to2=[ff02::77]:9998",
                    "to=239.1.2.3:9999", "txtvers=1",
                ]  # fmt: skip
            # From another host, and from one where the daemon has the port too.
            for host in net.hosts:
                found = {each["name"]: each for each in discovered("--loop", loop, host=host)}
                assert found.keys() == {"Line 3", "Käse"}
                assert found["Line 3"]["subscribe"] == "10.77.0.1:9997"
                assert found["Käse"]["raw"] is True
                assert found["Käse"]["host"] == "avahi.local"
        assert discovered("-t", "1.5", host=net.hosts[1]) == []  # both have said goodbye


@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_a_name_that_avahi_has_is_not_fought_for(tmp_path: Path) -> None:
    with network(2) as net, avahi(net.hosts[1], tmp_path) as daemon:
        theirs = daemon.command("avahi-publish", "-s", "it", "_netkit-feed._udp", "9", "raw")
        words = (*COMMAND, "serve", "broadcast", "--to", "239.1.2.3:9999", "--message", "x")
        async with running(*theirs) as other:
            await said(other, "Established")
            for host in net.hosts:
                async with running(*host.command(*words, "--announce", "it")) as server:
                    await said(server, "announced as 'it-2' on eth0")


@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_nothing_goes_out_by_another_interface() -> None:
    with network(2) as net:
        with net.hosts[0].entered():
            tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0003))
        with tap:
            tap.bind((DEVICE, 0))
            tap.setblocking(False)
            words = (*COMMAND, "serve", "broadcast", "--to", "127.0.0.1:9999", "--message", "x")
            async with running(*net.hosts[0].command(*words, "--announce", "it")) as server:
                await said(server, "announced as 'it' on lo")
                assert discovered("-t", "2", host=net.hosts[1]) == []
                ask(net.hosts[1], net.hosts[0].ipv4)
                assert [each["name"] for each in discovered(host=net.hosts[0])] == ["it"]
            sent = [
                frame for frame, outgoing in frames(tap) if outgoing and b"\x14\xe9" in frame[:48]
            ]
    # The only ones are those of `discover` on the first host itself, which asks on all links.
    assert all(is_question(frame) for frame in sent)


def is_question(frame: bytes) -> bool:
    """Of an mDNS packet on IPv4 or IPv6, without options."""
    headers = 28 if frame[0] >> 4 == 4 else 48
    return not frame[headers + 2] & 0x80


def frames(tap: socket.socket) -> list[tuple[bytes, bool]]:
    """What went by, and whether it went out."""
    seen = []
    try:
        while True:
            frame, where = tap.recvfrom(65536)
            seen.append((frame, where[2] == socket.PACKET_OUTGOING))
    except BlockingIOError:
        return seen


def ask(host: Host, address: str) -> None:
    """Ask for feeds by unicast, as some programs do; who answers would do so by unicast."""
    question = (
        bytes((0, 7, 0, 0, 0, 1)) + bytes(6) + b"\x0c_netkit-feed\x04_udp\x05local\0\0\x0c\0\1"
    )
    with host.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(question, (address, 5353))
