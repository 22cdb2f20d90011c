"""``netkit run --together`` and ``-f`` as a person runs them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.runtime.process import COMMAND, LOOPS

pytestmark = pytest.mark.parametrize("loop", LOOPS)


def netkit_run(loop: str, *words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "run", "--loop", loop, *map(str, words)],
        capture_output=True, text=True, timeout=60, cwd=cwd, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_a_procfile(loop: str, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "Procfile").write_text("first: sh -c 'echo $A; pwd'\nlast: sh -c 'exit 4'\n")
    (project / ".env").write_text("A=b\n")
    flags = ("--quiet", "--ready", "first=exit", "--env-file", "project/.env")
    ended = netkit_run(loop, "-f", "project/Procfile", *flags, cwd=tmp_path)
    assert ended.stdout.splitlines() == ["first | b", f"first | {project}"]
    assert (ended.returncode, ended.stderr) == (4, "")
    ended = netkit_run(loop, "-f", "project/Procfile", "--quiet", "last", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (4, "")


def test_several_commands(loop: str, tmp_path: Path) -> None:
    flags = ["--together", "--shell", "--names", "tests,server", "--kill-others"]
    flags += ["--ready", "tests=line:go", "--success", "tests"]
    script = "echo go; while test ! -e up; do sleep 0.02; done; exit 3"
    ended = netkit_run(loop, *flags, script, "touch up; sleep 1000", cwd=tmp_path)
    assert ended.stdout == "tests  | go\n"
    assert ended.stderr.splitlines()[-2:] == ["server * SIGTERM sent", "server * SIGTERM"]
    assert ended.returncode == 3


def test_what_is_wrong_is_one_line(loop: str, tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text("web: a\n\nb\n")
    ended = netkit_run(loop, "-f", "Procfile", cwd=tmp_path)
    assert ended.stderr == (
        "netkit: error: Procfile:3: 'b': write it like web: netkit serve echo\n"
    )
    assert ended.returncode == 255
    flags = ("--quiet", "--ready", "a=line:x", "--ready-timeout", "0.1")
    ended = netkit_run(loop, "--together", *flags, "a: sleep 1000", "b: true", cwd=tmp_path)
    assert ended.stderr == (
        "netkit: error: a: 0.1 s were over before a line matched 'x'; "
        "see its output, or raise --ready-timeout\n"
    )
    assert ended.returncode == 255


def test_a_reader_that_has_gone(loop: str, tmp_path: Path) -> None:
    words = [*COMMAND, "run", "--loop", loop, "--together", "--quiet", "yes"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == b"yes | y\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == -13
