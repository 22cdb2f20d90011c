"""``netkit run`` as a process: what it prints and how it ends, beside GNU parallel."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.peers import peer
from tests.run.running import ran
from tests.runtime.process import LOOPS

both_loops = pytest.mark.parametrize("loop", LOOPS)

CASES = """
-k printf [%s] ::: a 'b c' "it's" '' '*' -n --
-k printf [%s] {1} x{2}y ::: a b ::: 1 2
-k -N2 printf [%s] x{}y ::: a b c
-k -j1 false ::: a b c
-k -j1 sh -c 'exit {}' ::: 0 1 3
--halt now,fail=1 -j1 sh -c 'exit {}' ::: 0 7 3
--halt soon,fail=2 -j1 sh -c 'exit {}' ::: 0 7 3 4
--halt soon,fail=50% -j1 sh -c 'exit {}' ::: 0 7 3 5
--halt soon,fail=60% -j1 sh -c 'exit {}' ::: 0 7 0 0
--halt now,success=1 -j1 sh -c 'exit {}' ::: 4 0 3
--halt now,success=1 -j1 sh -c 'exit {}' ::: 4 3
--halt now,done=1 -j1 sh -c 'exit {}' ::: 4 3
--halt now,fail=1 -j1 sh -c 'kill -9 $$' ::: 1 2
--halt now,fail=1 -j1 -k sh -c 'echo {}; exit {}' ::: 0 2 3
-j1 nosuchprogram ::: a b
-j1 --timeout 0.2 sleep ::: 100
--halt now,fail=1 -j1 --timeout 0.2 sleep ::: 100
-k --tag echo ::: a b ::: c
-k --tag sh -c 'echo {}; echo; printf x' ::: a
-k -j2 sh -c 'echo $0; echo $0 >&2' ::: a b
-j1 --nice 3 sh -c nice ::: x
-k echo :::: /dev/null
-k echo :::
""".strip().splitlines()


@pytest.fixture
def parallel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """GNU parallel, which quotes each word of the command: nothing is left to its shell."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PARALLEL_SHELL", "/bin/sh")
    monkeypatch.chdir(tmp_path)
    return [peer("parallel"), "--will-cite"]


def compare(theirs: list[str], ours: list[str], data: bytes = b"") -> int:
    """Run both, and ours on both loops: the same output and the same status, which it gives."""
    told = subprocess.run(theirs, input=data, capture_output=True)
    for loop in LOOPS:
        own = ran(*ours, loop=loop, stdin=data)
        assert (own.status, own.out) == (told.returncode, told.stdout)
    return told.returncode


@pytest.mark.parametrize("words", CASES)
def test_output_and_status_of_gnu_parallel(words: str, parallel: list[str]) -> None:
    asked = shlex.split(words)
    compare([*parallel, "-q", *asked], asked)


SHELL_CASES = """
-k 'echo {} $((1+1)); echo err >&2' ::: 'a b' "it's" '$x'
-k 'echo {/.} | tr a-z A-Z > {//}/{#}.out; cat {//}/{#}.out' ::: ./one.txt ./two.txt
-k echo {} '&&' echo second ::: a
-k 'exit {}' ::: 0 1 2
-k ::: 'echo a; echo b' 'false' 'echo "c  d"'
-k -N2 'echo x{}y' ::: a b c
""".strip().splitlines()


@pytest.mark.parametrize("words", SHELL_CASES)
def test_for_a_shell(words: str, parallel: list[str]) -> None:
    asked = shlex.split(words)
    compare([*parallel, *asked], ["--shell", *asked])


INPUT = [
    ("-k printf [%s]", b"a\nb c\n\n d \nlast"),
    ("-k -0 printf [%s]", b"a\nb\0-n\0\0c d"),
    ("-k -d , printf [%s]", b"a,b,,c\n"),
    ("-k printf [%s] {1}{2} :::: - ::: x y", b"a\nb\n"),
    ("-k -a - printf [%s] {} ::: x", b"a\n"),
    ("-k printf [%s] ::: x y :::: -", b"a\nb\n"),
    ("-k printf [%s]", "ü\n".encode() + b"\xff\xfe\n"),
    ("-k --colsep , printf [%s] {2} {1}", b"a,b\nc\n"),
    ("-k --header : --colsep , printf [%s] {b} {a}", b"a,b\n1,2\n3,4\n"),
    ("-k -r printf [%s]", b" \na\n"),
    ("-k printf [%s]", b""),
    ("-k -n3 printf [%s]", b"1\n2\n3\n4\n"),
    ("-k -N2 printf [%s] {2} {1}", b"1\n2\n3\n"),
]


@pytest.mark.parametrize(("words", "data"), INPUT)
def test_arguments_from_standard_input(words: str, data: bytes, parallel: list[str]) -> None:
    asked = shlex.split(words)
    compare([*parallel, "-q", *asked], asked, data)


@pytest.mark.parametrize(("failing", "status"), [(100, 100), (101, 101), (150, 101)])
def test_more_than_a_hundred(failing: int, status: int, parallel: list[str]) -> None:
    command = ["test", "-z", "{}"]
    assert compare([*parallel, "-q", *command], command, b"x\n" * failing + b"\n") == status


@both_loops
def test_bytes_that_are_no_text_stay_what_they_are(loop: str) -> None:
    told = ran("printf", "%s|", ":::", b"\xff\xc3", "ü", loop=loop)
    assert sorted(told.out.split(b"|")) == [b"", "ü".encode(), b"\xff\xc3"]


@both_loops
def test_options_behind_the_command_are_its_own(loop: str) -> None:
    told = ran("-j1", "echo", "-j2", "--help", "--", "{}", ":::", "-k", loop=loop)
    assert told.out == b"-j2 --help -- -k\n"
    told = ran("-j", "1", "--", "echo", "-j2", ":::", "--jobs", loop=loop)
    assert told.out == b"-j2 --jobs\n"


@both_loops
def test_csv(loop: str) -> None:
    data = b'name,size\n"a ""b"", c",1\n"two\nlines",2\n'
    words = ("-k", "--csv", "--header", ":", "printf", "[%s]", "{size}", "{name}")
    assert ran(*words, loop=loop, stdin=data).out == b'[1][a "b", c][2][two\nlines]'


@both_loops
def test_slots_are_not_shared(loop: str) -> None:
    told = ran("-j2", "echo", "{%}", ":::", *"abcdefgh", loop=loop)
    assert set(told.out.split()) <= {b"1", b"2"}
    assert ran("-j1", "echo", "{%}", ":::", "a", "b", loop=loop).out == b"1\n1\n"


@both_loops
def test_without_a_shell_nothing_is_expanded(loop: str) -> None:
    assert ran("echo", "$HOME", "*", "{};id", ":::", "`id`", loop=loop).out == b"$HOME * `id`;id\n"


@both_loops
def test_commands_as_arguments(loop: str) -> None:
    told = ran("-k", loop=loop, stdin=b"echo 'a  b' c\nprintf x%sx {}\n")
    assert told.out == b"a  b c\nx{}x"


@both_loops
def test_surroundings(loop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPT", "k")
    told = ran("--cwd", str(tmp_path), "pwd", ":::", "-P", loop=loop)
    assert told.out == os.fsencode(tmp_path.resolve()) + b"\n"
    told = ran(
        "--clean-env", "--env", "KEPT", "--env", "NEW=n=1", "/usr/bin/env", "-u", ":::", "X",
        loop=loop,
    )  # fmt: skip
    assert told.lines == ["KEPT=k", "NEW=n=1"]
    told = ran("--env", "NEW=1", "--shell", "echo $NEW$KEPT", ":::", "", loop=loop)
    assert told.out == b"1k \n"


@both_loops
def test_retries(loop: str, tmp_path: Path) -> None:
    script = f"echo try >> {tmp_path}/{{}}; test $(wc -l < {tmp_path}/{{}}) -ge 3 || exit {{}}"
    told = ran(
        "--retries", "3", "--retry-on", "75", "--retry-delay", "0", "--shell", script,
        ":::", "75", "76", loop=loop,
    )  # fmt: skip
    assert told.status == 1
    assert (tmp_path / "75").read_text() == "try\n" * 3
    assert (tmp_path / "76").read_text() == "try\n"


@both_loops
def test_a_joblog_and_what_is_skipped(loop: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    words = ("-k", "--joblog", str(log), "sh", "-c", "echo {}; exit {}", ":::", "0", "1", "0")
    assert ran(*words, loop=loop).status == 1
    rows = [line.split("\t") for line in log.read_text().splitlines()[1:]]
    assert [(row[0], row[6], row[8]) for row in rows] == [
        ("1", "0", "sh -c 'echo 0; exit 0'"),
        ("2", "1", "sh -c 'echo 1; exit 1'"),
        ("3", "0", "sh -c 'echo 0; exit 0'"),
    ]
    assert ran("--resume", *words, "4", loop=loop).out == b"4\n"
    told = ran("--resume-failed", *words, "4", "5", loop=loop)
    assert (told.status, told.out) == (3, b"1\n4\n5\n")


@both_loops
def test_resuming_by_results(loop: str, tmp_path: Path) -> None:
    words = ("--results", str(tmp_path / "kept"), "--resume", "sh", "-c", "echo x >> {}")
    file = tmp_path / "file"
    for _ in range(2):
        assert ran(*words, ":::", str(file), loop=loop).status == 0
    assert file.read_text() == "x\n"


@both_loops
def test_events(loop: str) -> None:
    told = ran("--json", "-j1", "sh", "-c", "echo {}; exit 3", ":::", "a", loop=loop)
    events = [json.loads(line) for line in told.out.splitlines()]
    assert [event["event"] for event in events] == ["started", "output", "ended"]
    assert (events[1]["text"], events[2]["status"], told.status) == ("a\n", 3, 1)


@both_loops
def test_remarks_on_what_the_job_cannot_say(loop: str) -> None:
    assert ran("nosuchprogram", ":::", "a", loop=loop).err == (
        "netkit: job 1: nosuchprogram: command not found; give its path\n"
    )
    assert ran("--timeout", "0.1", "sleep", ":::", "100", loop=loop).err == (
        "netkit: job 1: SIGTERM (timeout): sleep 100\n"
    )
    assert ran("--halt", "now,fail=1", "-j1", "false", ":::", "a", "b", loop=loop).err == (
        "netkit: --halt: job 1: exit status 1: false a\n"
    )


@both_loops
def test_jobs_end_before_what_is_wrong_with_a_later_argument_is_said(loop: str) -> None:
    told = ran("-j4", "sh", "-c", "sleep 0.2; echo {}", loop=loop, stdin=b"a\nb\n\0\n")
    assert (told.status, told.lines) == (255, ["a", "b"])
    assert told.err.startswith("netkit: error: standard input, argument 3: holds a NUL")
