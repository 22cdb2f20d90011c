"""Units that ``netkit systemd`` prints, judged by systemd's own programs."""

from __future__ import annotations

import asyncio
import re
import shlex
import subprocess
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

import pytest

from netkit.errors import UsageError
from netkit.systemd.unit import Credential, quoted
from tests.commands import netkit
from tests.peers import peer
from tests.runtime.process import COMMAND, ServerProcess
from tests.workers.crew import WHO, echoes, serves

EXPOSURE = 1.5
"""Of ten, as ``systemd-analyze security`` 252 rates it: 1.2 was measured."""
EXPOSURE_LOW_PORT = 2.0
"""With a port below 1024, for which a capability stays: 1.6 was measured."""

OLDER = ("--systemd-version", "252")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, the current one."""
    made = tmp_path / "units"
    made.mkdir()
    monkeypatch.chdir(made)
    return made


def systemd(*words: object, status: int = 0) -> str:
    """What ``netkit systemd …`` prints; what it complains of if it is to fail."""
    ended = netkit("systemd", *words)
    assert ended.status == status, ended.errors
    return ended.errors if status else ended.output


def in_a_process(*words: object, folder: Path) -> subprocess.CompletedProcess[str]:
    """The command as a person runs it, so that its target is imported nowhere else."""
    command = [*COMMAND, "systemd", *map(str, words)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)


def lines(text: str, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)


def complaints(folder: Path) -> str:
    """What ``systemd-analyze verify`` says of all units in a folder."""
    units = map(str, folder.glob("*.s*"))
    verify = [peer("systemd-analyze"), "verify", "--man=no", *units]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    return done.stderr if done.stderr or not done.returncode else f"status {done.returncode}"


def exposure(file: Path) -> float:
    """The rating of a unit: 0 is best, 10 worst."""
    said = subprocess.run(
        [peer("systemd-analyze"), "security", "--offline=true", file],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    (found,) = re.findall(r"Overall exposure level for \S+: ([\d.]+)", said.stdout)
    return float(found)


@pytest.mark.parametrize(
    ("words", "others"),
    [
        (("echo",), set()),
        (("chat", "--tls", "--workers", "1"), set()),
        (("echo", "--uds", "/run/echo/echo.sock"), set()),
        (("echo", "--tls", "--ssl-certfile", "a b%.pem", "--port", 7), set()),
        (("echo", "--host", "192.0.2.1"), set()),
        (("chat", "--motd", 'a %n $HOME ${X} "q" \\ ; \n é'), set()),
        (("echo", "--timeout-graceful-shutdown", "inf"), set()),
        (("echo", "--socket"), {"unit.socket", "unit-udp.socket"}),
        (
            ("echo", "--socket", "--bind", "tls://[::1]:7", "--bind", "unix:@e"),
            {"unit.socket", "unit-unix.socket"},
        ),
        (("chat", "--socket", "--uds", "/run/c.sock"), {"unit.socket"}),
    ],
)
def test_systemd_accepts_the_units(
    words: tuple[object, ...], others: set[str], folder: Path
) -> None:
    said = systemd(*words, "--unit", "unit", "--into", ".")
    assert set(said.split()) == {path.name for path in folder.iterdir()}
    assert set(said.split()) == {"unit.service", *others}
    assert complaints(folder) == ""
    service = folder / "unit.service"
    low = lines(service.read_text(), "AmbientCapabilities")
    assert exposure(service) <= (EXPOSURE_LOW_PORT if low else EXPOSURE)


def test_a_reload_is_asked_for_in_the_words_that_systemd_knows() -> None:
    newer = systemd("echo", "--systemd-version", 253)
    assert lines(newer, "Type") == ["notify-reload"]
    assert not lines(newer, "ExecReload")
    older = systemd("echo", *OLDER)
    assert lines(older, "Type") == ["notify"]
    assert lines(older, "ExecReload") == ["/bin/kill -HUP $MAINPID"]


def test_a_capability_only_for_a_low_port() -> None:
    capability = "CAP_NET_BIND_SERVICE"
    low = systemd("echo", "--port", 1023)
    assert lines(low, "CapabilityBoundingSet") == lines(low, "AmbientCapabilities") == [capability]
    assert not lines(low, "PrivateUsers")
    for words in (("--port", 1024), ("--port", 7, "--socket")):
        text = systemd("echo", *words)
        assert capability not in text
        assert lines(text, "CapabilityBoundingSet") == [""]


def test_certificates_are_handed_over_or_have_a_folder(folder: Path) -> None:
    own = systemd("chat", "--tls")
    assert lines(own, "StateDirectory") == ["netkit-chat"]
    assert lines(own, "Environment") == ["NETKIT_CERTS=%S/netkit-chat/certs"]
    words = ("--ssl-certfile", "c.pem", "--ssl-keyfile", "/etc/ssl/private/k.pem")
    given = systemd("chat", "--tls", *words)
    assert lines(given, "LoadCredential") == [
        f"ssl-certfile-0:{folder}/c.pem",
        "ssl-keyfile-0:/etc/ssl/private/k.pem",
    ]
    (command,) = lines(given, "ExecStart")
    assert command.endswith("--ssl-certfile %d/ssl-certfile-0 --ssl-keyfile %d/ssl-keyfile-0")
    assert not lines(given, "StateDirectory")


def test_socket_units_take_the_addresses_over() -> None:
    words = ("--bind", "127.0.0.1:7", "--bind", "tls://[::1]:8", "--bind", "udp://0.0.0.0:7")
    text = systemd("echo", *words, "--socket", "--workers", 2)
    assert lines(text, "ListenStream") == ["127.0.0.1:7", "[::1]:8"]
    assert lines(text, "ListenDatagram") == ["0.0.0.0:7"]
    assert lines(text, "FileDescriptorName") == ["tcp", "tls", "udp"]
    sockets = "netkit-echo.socket netkit-echo-tls.socket netkit-echo-udp.socket"
    assert lines(text, "Requires") == [sockets]
    (command,) = lines(text, "ExecStart")
    assert command.endswith("netkit serve echo --workers=2")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("echo", "--fd", 3), "--fd: systemd hands sockets over by its own units; give --socket"),
        (("echo", "--uds", "/tmp/x.sock"), "a service cannot write there; give unix:/run/netkit-"),
        (("echo", "--socket", "--port", 0), "tcp://127.0.0.1:0 leaves the port open; give one"),
        (("echo", "--socket", "--host", "localhost"), "addresses; give localhost's instead"),
        (("chat", "--tls", "--ssl-keyfile-password", "x"), "everybody may read a unit; leave it"),
        (("echo", "--unit", "a/b"), "--unit a/b: a name has letters, digits, - _ and . alone"),
        (("echo", "--into", "/nonexistent"), "--into /nonexistent: netkit-echo.service: No such"),
        (("chat", "--motd", "\a"), "a unit holds printable text"),
        (("nonsense",), "nonsense: no server has that name"),
    ],
)
def test_what_no_unit_can_do_is_refused(words: tuple[object, ...], says: str) -> None:
    said = systemd(*words, status=2)
    assert says in said
    assert len(said.splitlines()) == 1


async def test_the_unit_s_command_serves(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(WHO)
    words = ("app.py:handle", "--host", "127.0.0.1", "--port", 0, "--limit-idle", 7)
    text = in_a_process(*words, folder=tmp_path).stdout
    (command,), (folder,) = lines(text, "ExecStart"), lines(text, "WorkingDirectory")
    assert folder == str(tmp_path)
    process = await asyncio.create_subprocess_exec(
        *shlex.split(command), cwd=folder, stdin=DEVNULL, stderr=PIPE
    )
    server = ServerProcess(process)
    try:
        await server.logged("listening on")
        talker, _ = await serves(server.ports[0])
        assert await echoes(talker)
        talker.sock.close()
    finally:
        process.terminate()
        await server.ended()


def test_settings_from_variables_are_in_the_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETKIT_LIMIT_IDLE", "7")
    assert "--limit-idle=7" in systemd("echo")


def test_paths_that_the_service_will_not_see_are_named(folder: Path) -> None:
    (folder / "app.py").write_text(WHO)
    done = in_a_process("app.py:handle", folder=folder)
    assert f"netkit: warning: {folder}: a service has a /tmp of its own" in done.stderr


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["/bin/netkit", "serve", "--port=7"], "/bin/netkit serve --port=7"),
        (["a b", 'q"', "b\\", ";", ""], '"a b" "q\\"" "b\\\\" ";" ""'),
        (["100%", "$HOME"], "100%% $$HOME"),
        (["two\nlines", "'"], '"two\\nlines" "\'"'),
        ([Credential("key", Path("/k"))], "%d/key"),
    ],
)
def test_words_are_quoted(words: list[str | Credential], text: str) -> None:
    assert quoted(words) == text


def test_no_word_with_control_characters() -> None:
    with pytest.raises(UsageError):
        quoted(["\x1b[0m"])


def test_a_service_that_asks_for_interfaces_may_do_so() -> None:
    usual = "AF_UNIX AF_INET AF_INET6"
    words = ("--to", "239.1.2.3:9999", "--message", "x")
    broadcast = systemd("broadcast", *words)
    assert lines(broadcast, "RestrictAddressFamilies") == [f"{usual} AF_NETLINK"]
    assert lines(systemd("echo"), "RestrictAddressFamilies") == [usual]
