"""Hosts on a network of their own: network namespaces on one bridge. Nothing leaves the machine.

::

    with network(2) as net:
        net.impair(Impairment(loss=0.05))    # what the first host sends
        with net.hosts[0].entered():
            sock = socket.socket(…)          # stays there after the block
        net.hosts[1].run("socat", …)

It takes root, iproute2 and, for what is lost, netem or /dev/net/tun. Where that is not
to be had the test is skipped with the reason, but fails under CI.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.broadcast.wire import Counts, Impairment
from tests.peers import peer

ROOT = Path(__file__).resolve().parents[2]
DEVICE = "eth0"
"""Each host's interface."""
BROADCAST = "10.77.0.255"
QUEUE = "20000"
"""Frames that wait to be carried: a run is cut into 64 before it comes to the wire."""


@dataclass(frozen=True)
class Host:
    """A network namespace with one interface on the bridge, `DEVICE`."""

    name: str
    number: int

    @property
    def ipv4(self) -> str:
        """Its address in 10.77.0.0/24."""
        return f"10.77.0.{self.number}"

    @property
    def ipv6(self) -> str:
        """Its address in fd77::/64; fe80:: and the same number is its link-local one."""
        return f"fd77::{self.number}"

    def command(self, *words: str | Path) -> list[str | Path]:
        """The words that run a command on this host."""
        return ["ip", "netns", "exec", self.name, *words]

    def run(self, *words: str | Path) -> str:
        """Run a command on this host to its end; what it said."""
        return said(*self.command(*words))

    @contextmanager
    def entered(self) -> Iterator[None]:
        """This thread is on this host until the block ends; sockets made there stay there."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        inside = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        try:
            enter(inside)
            try:
                yield
            finally:
                enter(before)
        finally:
            os.close(inside)
            os.close(before)


@dataclass
class Network:
    """Hosts on one bridge. What the first one sends can be impaired."""

    hosts: list[Host]
    wire: subprocess.Popen[str] | None = field(default=None)
    """Between the first host and the bridge, where the kernel has no netem."""

    def impair(self, impairment: Impairment) -> None:
        """Lose, double and reorder from now on; counting begins anew."""
        if self.wire:
            self._told(asdict(impairment))
        else:
            self.hosts[0].run("tc", "qdisc", "replace", *ON, *netem(impairment))

    def counts(self) -> Counts:
        """What was done since `impair`, what overran the queue before the wire included.

        netem counts what it lost and what it passed alone.
        """
        if self.wire is None:
            shown = json.loads(self.hosts[0].run("tc", "-s", "-j", "qdisc", "show", *ON))
            return Counts(passed=shown[0]["packets"], lost=shown[0]["drops"])
        counts = Counts(**self._told(None))
        overrun = json.loads(self.hosts[0].run("ip", "-s", "-j", "link", "show", DEVICE))
        counts.lost += overrun[0]["stats64"]["tx"]["dropped"]
        return counts

    def _told(self, wanted: dict[str, Any] | None) -> dict[str, int]:
        assert self.wire
        assert self.wire.stdin
        assert self.wire.stdout
        self.wire.stdin.write(json.dumps(wanted) + "\n")
        self.wire.stdin.flush()
        counts: dict[str, int] = json.loads(self.wire.stdout.readline())
        return counts


ON = ("dev", DEVICE, "root")


@contextmanager
def network(hosts: int = 2) -> Iterator[Network]:
    """That many hosts on a bridge until the block ends; skips where it cannot be had."""
    for program in ("ip", "tc"):
        peer(program)
    prefix = f"netkit-{os.getpid()}"
    with ExitStack() as stack:
        switch = namespace(stack, f"{prefix}-switch")
        quiet = "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6"
        said("ip", "netns", "exec", switch, "sh", "-c", quiet)  # no IPv6 of the bridge's own
        inside(switch, "link add hub type bridge mcast_snooping 0 forward_delay 0")
        inside(switch, "link set hub up")
        net = Network([Host(namespace(stack, f"{prefix}-{n}"), n) for n in range(1, hosts + 1)])
        has_netem = knows_netem(switch)
        for host in net.hosts:
            near, far = f"nk{os.getpid()}a{host.number}", f"nk{os.getpid()}b{host.number}"
            if host.number == 1 and not has_netem:
                net.wire = stack.enter_context(wire(near, far))
            else:
                said("ip", "link", "add", near, "type", "veth", "peer", "name", far)
            said("ip", "link", "set", far, "netns", switch)
            inside(switch, f"link set {far} master hub up")
            said("ip", "link", "set", near, "netns", host.name, "name", DEVICE)
            bring_up(host)
        yield net


def bring_up(host: Host) -> None:
    """Give a host its addresses, and nothing that it would say by itself."""
    for name, value in (("disable_ipv6", 0), ("accept_ra", 0), ("router_solicitations", 0)):
        host.run("sh", "-c", f"echo {value} > /proc/sys/net/ipv6/conf/{DEVICE}/{name}")
    for words in (
        "link set lo up",
        f"link set {DEVICE} addrgenmode none txqueuelen {QUEUE}",
        f"link set {DEVICE} up",
        f"addr add {host.ipv4}/24 brd {BROADCAST} dev {DEVICE}",
        f"addr add {host.ipv6}/64 dev {DEVICE} nodad",
        f"addr add fe80::{host.number}/64 dev {DEVICE} nodad",
        f"route add 224.0.0.0/4 dev {DEVICE}",
    ):
        inside(host.name, words)


def namespace(stack: ExitStack, name: str) -> str:
    """A new network namespace, removed with what is in it when the stack ends."""
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if made.returncode:
        unavailable(f"no network namespaces: {made.stderr.strip()}")
    stack.callback(said, "ip", "netns", "delete", name)
    return name


@contextmanager
def wire(near: str, far: str) -> Iterator[subprocess.Popen[str]]:
    """The process between two tap devices."""
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        unavailable("the kernel has no netem, and there is no /dev/net/tun")
    command = [sys.executable, "-m", "tests.broadcast.wire", near, far]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.stdin.close()
            process.wait()


def knows_netem(switch: str) -> bool:
    """Whether this kernel has netem (CONFIG_NET_SCH_NETEM), which not all have."""
    words = ["ip", "netns", "exec", switch, "tc", "qdisc", "add", "dev", "lo", "root", "netem"]
    return subprocess.run(words, capture_output=True).returncode == 0


def netem(impairment: Impairment) -> list[str]:
    """The words for `tc qdisc`; out of order means that the others wait a millisecond."""
    words = ["netem", "limit", QUEUE, "loss", f"{impairment.loss:%}"]
    words += ["duplicate", f"{impairment.duplicate:%}"]
    if impairment.reorder:
        words += ["delay", "1ms", "reorder", f"{impairment.reorder:%}"]
    return words


def inside(name: str, words: str) -> None:
    """Run ``ip`` in a namespace."""
    said("ip", "-n", name, *words.split())


def said(*words: str | Path) -> str:
    """Run a command to its end; what it said."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, words))}: {done.stderr}"
    return done.stdout


def enter(descriptor: int) -> None:
    """Move this thread to a network namespace (setns(2); Python has it since 3.12)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, 0x40000000):  # CLONE_NEWNET
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def unavailable(why: str) -> None:
    """Skip the test, or fail it under CI."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)
