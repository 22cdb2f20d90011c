"""``netkit run --host`` as a process, with a real sshd."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.peers import peer
from tests.run.hosts.sshd import Home, Sshd
from tests.run.hosts.watching import gone
from tests.run.running import ran, running
from tests.runtime.process import LOOPS

both_loops = pytest.mark.parametrize("loop", LOOPS)


def this_loop() -> str:
    """What the test runs on, for the process too."""
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]


@both_loops
def test_jobs_there_in_order_and_in_the_joblog(
    host: Callable[..., Sshd], loop: str, tmp_path: Path
) -> None:
    sshd, log = host(), tmp_path / "log"
    told = ran(
        "--host", f"2/{sshd.address}", "-k", "--joblog", str(log), "--env", "NEW=n w",
        "--cwd", str(tmp_path / "there"), "--shell",
        'echo {} "$NEW" $SSH_CONNECTION; pwd; exit {#}', ":::", "it's", "b c", loop=loop,
    )  # fmt: skip
    assert told.status == 2, told.err
    lines = told.out.decode().splitlines()
    assert lines[0].startswith("it's n w 127.0.0.1 ")
    assert lines[1] == lines[3] == str((tmp_path / "there").resolve())
    rows = [line.split("\t") for line in log.read_text().splitlines()[1:]]
    assert sorted((row[0], row[1], row[6]) for row in rows) == [
        ("1", str(sshd.address), "1"),
        ("2", str(sshd.address), "2"),
    ]


@both_loops
def test_files_go_there_and_come_back(
    host: Callable[..., Sshd], loop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    (here / "a.txt").write_text("hello")
    monkeypatch.chdir(here)
    words = ("--transfer", "{}", "--return", "{.}.up", "--cleanup", "--cwd", str(there))
    told = ran(
        "--host", str(host().address), *words, "--shell", "tr a-z A-Z < {} > {.}.up",
        ":::", "a.txt", loop=loop,
    )  # fmt: skip
    assert told.status == 0, told.err
    assert (here / "a.up").read_text() == "HELLO"
    assert not there.exists()


@both_loops
def test_no_host_left_is_one_line(home: Home, loop: str) -> None:
    told = ran("--host", "127.0.0.1:1", "echo", ":::", "a", loop=loop)
    assert (told.status, told.out) == (255, b"")
    remark, error = told.err.splitlines()
    assert remark.startswith("netkit: host 127.0.0.1:1 is set aside (0 left): ")
    assert error.startswith("netkit: error: no host is left: 127.0.0.1:1: ")


@both_loops
async def test_killed_by_force_it_leaves_nothing_there(
    host: Callable[..., Sshd], loop: str
) -> None:
    sshd = host()
    words = ("--host", sshd.address, "--lb", "--grace", "1", "--shell")
    script = "trap '' TERM HUP PIPE; echo $$; while :; do sleep 1; done; : {}"
    async with running(*words, script, ":::", "a", loop=loop) as it:
        group = int(await it.line())
        it.signal(signal.SIGKILL)
        await it.process.wait()
        await gone(group)


async def test_twice_interrupted_it_ends_what_runs_there(host: Callable[..., Sshd]) -> None:
    sshd, loop = host(), this_loop()
    words = ("--host", sshd.address, "--lb", "--grace", "0.1", "--shell")
    script = "trap '' TERM; echo $$; while :; do sleep 1; done; : {}"
    async with running(*words, script, ":::", "a", loop=loop) as it:
        group = int(await it.line())
        it.signal(signal.SIGINT)
        assert "no more jobs are started" in await it.remark()
        it.signal(signal.SIGINT)
        assert (await it.ended()).status == -signal.SIGINT
        await gone(group)


PARALLEL = (
    "-k echo {} $((1+1)) ::: a 'b c'",
    "-k --shell 'echo {} $((1+1)); echo err >&2; exit {#}' ::: a 'b c' \"it's\" '*'",
    "-k -j1 false ::: a b",
    "-k -N2 printf [%s] ::: a b c",
    "--halt now,fail=1 -j1 --shell 'exit {}' ::: 0 7 3",
    "-k --transferfile {} --return {.}.up --cleanup --shell 'tr a-z A-Z < {} > {.}.up; pwd' "
    "::: a.txt sub/b.txt",
    "-k --return {} --shell 'mkdir -p {//}; echo x > {}; exit 3' ::: new/c",
    "-k --basefile a.txt cat a.txt ::: ''",
)


@pytest.mark.parametrize("words", PARALLEL)
def test_as_gnu_parallel_has_it(
    words: str, host: Callable[..., Sshd], home: Home, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    sshd = host()
    seen = []
    if "file" in words or "return" in words:
        peer("rsync")  # of theirs
    program, (user, port) = peer("parallel"), (sshd.address.user, sshd.port)
    there = tmp_path / "there"
    options = f"-F none -i {home.key} -o UserKnownHostsFile={home.known} -p {port}"
    for ours in (False, True):
        here = tmp_path / f"here{ours}"
        (here / "sub").mkdir(parents=True)
        (here / "a.txt").write_text("one")
        (here / "sub" / "b.txt").write_text("two")
        monkeypatch.chdir(here)
        asked = shlex.split(words)
        if ours:
            asked = ["--transfer" if word == "--transferfile" else word for word in asked]
            told = ran(
                "--host", str(sshd.address), "--cwd", str(there), *asked, loop="asyncio"
            )  # fmt: skip
            status, out = told.status, told.out
        else:
            quoted = ["-q"] if "--shell" not in asked else []
            asked = [word for word in asked if word != "--shell"]
            ended = subprocess.run(
                [program, "--will-cite", *quoted, "--wd", there,
                 "-S", f"ssh {options} {user}@127.0.0.1", *asked],
                capture_output=True, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            status, out = ended.returncode, ended.stdout
        files = {str(path.relative_to(here)): path.read_bytes() for path in here.rglob("*.*")}
        seen.append((status, out, files))
        shutil.rmtree(there, ignore_errors=True)
    assert seen[0] == seen[1]
