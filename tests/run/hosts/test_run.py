"""``netkit run --host`` as a process, with a real sshd."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.run.hosts.sshd import Home, Sshd
from tests.run.running import ran
from tests.runtime.process import LOOPS

both_loops = pytest.mark.parametrize("loop", LOOPS)


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
