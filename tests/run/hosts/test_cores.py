"""What is decided without a network: addresses, orders, answers."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from netkit.clients.run.hosts import hosts
from netkit.clients.run.hosts.address import Address, address, addresses
from netkit.clients.run.hosts.order import (
    LOGIN,
    NOISE,
    Prologue,
    Setting,
    environment,
    order,
    signal_name,
    signal_number,
)
from netkit.clients.run.hosts.settings import Machines
from netkit.errors import UsageError
from netkit.subprocesses.command import Command, NotStartedError, Surroundings


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("web", Address("web")),
        ("me@web:22", Address("web", "me", 22)),
        ("4/web", Address("web", limit=4)),
        ("12/me@10.0.0.1:2222", Address("10.0.0.1", "me", 2222, 12)),
        ("me@[fe80::1%eth0]:22", Address("fe80::1%eth0", "me", 22)),
    ],
)
def test_an_address(text: str, found: Address) -> None:
    assert address(text, "--host") == found


WRONG = [
    "",
    "@web",
    "web:",
    "web:0",
    "web:65536",
    "0/web",
    "x/web",
    "-oProxyCommand=id",
    "me@-web",
    "a b",
    "::1",
]


@pytest.mark.parametrize("text", WRONG)
def test_no_address(text: str) -> None:
    with pytest.raises(UsageError, match="--host"):
        address(text, "--host")


def test_addresses(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text("# ours\n\n 2/c \nd:22\n")
    found = addresses(["a,b"], [file])
    assert [str(each) for each in found] == ["a", "b", "c", "d:22"]
    with pytest.raises(UsageError, match="named twice"):
        addresses(["a", "3/a"], [])
    file.write_text("ok\nno good\n")
    with pytest.raises(UsageError, match=r"hosts: line 2: no good: give a host"):
        addresses([], [file])
    file.write_text("#\n")
    with pytest.raises(UsageError, match="names no host"):
        addresses([], [file])
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        addresses([], [tmp_path / "no"])


def test_an_answer_behind_noise_however_it_is_cut() -> None:
    said = b"welcome\nto us token 4711\nits own\n"
    for size in (1, 2, 7, 100):
        prologue = Prologue("token")
        rest = b"".join(prologue.feed(said[at : at + size]) for at in range(0, len(said), size))
        assert (prologue.answer, rest) == ("4711", b"its own\n")
    prologue = Prologue("token")
    prologue.feed(b"go\naway\n\n")
    assert (prologue.answer, prologue.noise, prologue.hopeless) == (None, "away", False)
    prologue.feed(b"x" * NOISE)
    assert prologue.hopeless


def test_an_order_is_one_line_and_the_login_shell_sees_nothing_of_it() -> None:
    line = order(Command(("a\nb", "'", "c")), Setting("token", "it's\nhere", (("A", "\n"),)))
    assert line.count(b"\n") == 1
    assert not set(LOGIN) & set("\n\\!")


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("netkit.clients.run.hosts.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "asyncssh", None)
    with pytest.raises(UsageError, match=r"pip install 'netkit-serve\[ssh\]'"):
        hosts(Machines(()), print)


def test_signals() -> None:
    assert (signal_name(signal.SIGTERM), signal_name(9), signal_name(64)) == ("TERM", "KILL", "")
    assert signal_name(signal.SIGSTOP) == ""  # its guard would stop too
    assert (signal_number("SEGV"), signal_number("SIG@openssh.com")) == (signal.SIGSEGV, None)


def test_names_of_variables() -> None:
    assert environment({"A_1": "x"}) == (("A_1", "x"),)
    for name in ("", "1A", "A-B", "A;id", "A\n"):
        with pytest.raises(NotStartedError):
            environment({name: "x"})
    with pytest.raises(NotStartedError):
        order(Command(("a=b",), surroundings=Surroundings(env={})), Setting("token"))


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_a_shell_obeys(shell: str) -> None:
    script = LOGIN.replace("/bin/sh", shell)
    line = order(Command(("printf", "%s", "a\n'b")), Setting("token"))
    with subprocess.Popen(
        [shell, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, start_new_session=True,
    ) as running:  # fmt: skip
        assert running.stdin
        assert running.stdout
        running.stdin.write(line)
        running.stdin.flush()
        answer, _, rest = running.stdout.read().partition(b"\n")
        # Only now: that its input ends is how it is told that we are gone.
        running.stdin.close()
    assert running.returncode == 0
    assert answer.split()[0] == b"token"
    assert rest == b"a\n'b"
