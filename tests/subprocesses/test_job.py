"""One job: its streams, its end, and what the kernel says of it; started either way."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
from pathlib import Path

import pytest

from netkit.loops import is_uvloop
from netkit.subprocesses.children import Spawner
from netkit.subprocesses.command import Command, NotStartedError, Stdio, Surroundings, WindowSize
from netkit.subprocesses.events import Event, Output, Started
from netkit.subprocesses.helpers import Helpers
from netkit.subprocesses.plain import Plain
from tests.subprocesses.jobs import Told, gone, group, ran, sh


async def test_both_streams_and_the_status(spawner: Spawner) -> None:
    told = await ran(spawner, sh("echo out; echo err >&2; exit 7"))
    assert told.output() == b"out\n"
    assert told.output("stderr") == b"err\n"
    assert told.end
    assert (told.end.status, told.end.signal, told.end.code) == (7, None, 7)
    assert told.end.reason == "exit"
    assert type(told.events[0]) is Started


async def test_both_streams_in_one(spawner: Spawner) -> None:
    line = "echo a; echo b >&2; echo c"
    told = await ran(spawner, Command(("sh", "-c", line), stderr=Stdio.STDOUT))
    assert told.output() == b"a\nb\nc\n"


async def test_a_signal(spawner: Spawner) -> None:
    told = await ran(spawner, sh("kill -KILL $$"))
    assert told.end
    assert (told.end.status, told.end.signal, told.end.code) == (None, 9, 137)
    assert str(told.end) == "SIGKILL"


async def test_bytes_stay_as_they_are(spawner: Spawner) -> None:
    given = os.urandom(1 << 20)
    told = Told(Command(("cat",), stdin=Stdio.PIPE))
    running = asyncio.create_task(told.run(spawner))
    while told.job.stdin is None:
        await asyncio.sleep(0)  # turns, until it has started
    assert await told.job.stdin.write(given)
    told.job.stdin.close()
    await running
    assert hashlib.sha256(told.output()).digest() == hashlib.sha256(given).digest()


@pytest.mark.parametrize("size", [0, 10, 1 << 20])
async def test_bytes_as_input(spawner: Spawner, size: int) -> None:
    given = os.urandom(size)
    assert (await ran(spawner, Command(("cat",), stdin=given))).output() == given
    # And to one that reads none of it.
    told = await ran(spawner, Command(("sleep", "0.05"), stdin=given))
    assert told.end
    assert told.end.status == 0


async def test_writing_to_one_that_reads_no_more(spawner: Spawner) -> None:
    told = Told(Command(("sh", "-c", "exec <&-; echo closed; sleep 0.2"), stdin=Stdio.PIPE))
    closed = asyncio.Event()
    told.hook = lambda event: closed.set() if type(event) is Output else None
    running = asyncio.create_task(told.run(spawner))
    await closed.wait()
    assert told.job.stdin
    assert not await told.job.stdin.write(bytes(1 << 20))
    assert told.job.stdin.closed
    await running


async def test_lines_come_whole(spawner: Spawner) -> None:
    told = Told(
        sh("printf 'one\\ntw'; sleep 0.05; printf 'o\\nthr'; sleep 0.05; printf ee"), lines=True
    )
    await told.run(spawner)
    blocks = [each.data for each in told.events if type(each) is Output]
    assert b"".join(blocks) == b"one\ntwo\nthree"
    assert all(block.endswith(b"\n") for block in blocks[:-1])


async def test_a_timeout_ends_the_group(spawner: Spawner) -> None:
    told = await ran(spawner, sh("sleep 60 & sleep 60"), timeout=0.2)
    assert told.end
    assert (told.end.signal, told.end.reason) == (signal.SIGTERM, "timeout")
    assert told.end.seconds < 30
    assert told.job.child
    assert await gone(told.job.child.pid)


async def test_who_ignores_term_is_killed_after_the_grace(spawner: Spawner) -> None:
    told = Told(
        sh("trap '' TERM; echo ready; while :; do sleep 0.05; done"), timeout=0.3, grace=0.2
    )
    end = await told.run(spawner)
    assert (end.signal, end.reason) == (signal.SIGKILL, "timeout")
    assert told.output() == b"ready\n"
    assert told.job.child
    assert await gone(told.job.child.pid)


async def test_one_that_was_stopped_is_ended_too(spawner: Spawner) -> None:
    told = await ran(spawner, sh("kill -STOP $$"), timeout=0.2)
    assert told.end
    assert told.end.signal == signal.SIGTERM


async def test_what_a_leader_leaves_behind_on_term_is_killed(spawner: Spawner) -> None:
    line = "(trap '' TERM; while :; do sleep 0.05; done) & echo ready; wait"
    told = await ran(spawner, sh(line), timeout=0.3, linger=5.0)
    assert told.end
    assert told.end.reason == "timeout"
    assert told.job.child
    assert await gone(told.job.child.pid)


async def test_a_grandchild_that_holds_the_pipe_holds_up_nothing(
    spawner: Spawner, tmp_path: Path
) -> None:
    told = await ran(spawner, sh(f"sleep 60 & echo $! > {tmp_path}/pid; echo done"), linger=0.1)
    assert told.output() == b"done\n"
    assert told.end
    assert told.end.status == 0
    assert told.job.child
    assert await gone(told.job.child.pid)


async def test_what_is_left_may_stay(spawner: Spawner, tmp_path: Path) -> None:
    told = await ran(spawner, sh(f"sleep 60 & echo $! > {tmp_path}/pid"), linger=0.1, stay=True)
    assert told.job.child
    left = int((tmp_path / "pid").read_text())
    assert group(told.job.child.pid) == {left}
    os.kill(left, signal.SIGKILL)


async def test_who_escapes_with_the_pipe_holds_up_nothing(spawner: Spawner, tmp_path: Path) -> None:
    escape = f"setsid sh -c 'echo $$ > {tmp_path}/pid; exec sleep 60'"
    line = f"{escape} & while ! [ -s {tmp_path}/pid ]; do sleep 0.01; done"
    told = await ran(spawner, sh(line), linger=0.1)
    assert told.end
    assert told.end.status == 0
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


async def test_one_that_closes_its_output_and_goes_on(spawner: Spawner) -> None:
    told = await ran(spawner, sh("echo last; exec >&- 2>&-; sleep 0.2; exit 5"))
    assert told.output() == b"last\n"
    assert told.end
    assert told.end.status == 5


async def test_a_full_standard_error_beside_an_idle_output(spawner: Spawner) -> None:
    told = await ran(spawner, sh("head -c 3000000 /dev/zero >&2; echo done"))
    assert told.output("stderr") == bytes(3_000_000)
    assert told.output() == b"done\n"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["netkit-no-such-program"], "netkit-no-such-program: command not found; give its path"),
        (["/no/such"], "/no/such: No such file or directory"),
        (["/etc/passwd"], "/etc/passwd: Permission denied"),
        (["/tmp"], "/tmp: Permission denied"),
        (["true", "a\0b"], "true: a word holds a NUL, which no program can get"),
        ([], "no command is given"),
        ([""], "no command is given"),
    ],
)
async def test_what_cannot_be_started_is_one_line(
    spawner: Spawner, words: list[str], why: str
) -> None:
    told = Told(Command(tuple(words)))
    with pytest.raises(NotStartedError) as caught:
        await told.run(spawner)
    assert str(caught.value) == why
    assert not told.events


async def test_what_no_program_can_get_harms_no_other(helpers: Helpers) -> None:
    other = Told(sh("sleep 0.2; exit 3"))
    running = asyncio.create_task(other.run(helpers))
    for command in (
        Command(("true", "\ud800")),
        Command(("true",), surroundings=Surroundings(env={"PATH": "/bin", "A": "b\0c"})),
    ):
        with pytest.raises(NotStartedError, match=r"^true: "):
            await Told(command).run(helpers)
    assert (await running).status == 3


async def test_a_script_without_an_interpreter(helpers: Helpers, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_bytes(b"echo hello\n")
    script.chmod(0o755)
    with pytest.raises(NotStartedError, match="Exec format error"):
        await Told(Command((str(script),))).run(helpers)


async def test_words_and_environment_of_any_size(spawner: Spawner) -> None:
    words = tuple(str(number) * 50 for number in range(10_000))
    told = await ran(spawner, Command(("printf", "%s\n", *words)))
    assert told.output().split() == [word.encode() for word in words]
    with pytest.raises(NotStartedError, match="Argument list too long"):
        await Told(Command(("true", "x" * 200_000))).run(spawner)


async def test_folder_and_environment(spawner: Spawner, tmp_path: Path) -> None:
    around = Surroundings(cwd=tmp_path, env={"PATH": "/usr/bin:/bin", "ONE": "1 é"})
    told = await ran(spawner, Command(("sh", "-c", "pwd; env"), surroundings=around))
    first, *rest = told.output().decode().splitlines()
    assert first == str(tmp_path)
    assert {line for line in rest if not line.startswith(("PWD", "_", "SHLVL", "OLDPWD"))} == {
        "PATH=/usr/bin:/bin", "ONE=1 é",
    }  # fmt: skip
    told = await ran(spawner, Command(("pwd",)))
    assert told.output().decode().strip() == str(Path.cwd())


async def test_only_its_own_descriptors(helpers: Helpers) -> None:
    leaky = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(leaky, True)
    told = await ran(helpers, Command(("ls", "-l", "/proc/self/fd")))
    os.close(leaky)
    names = [line.split()[8] for line in told.output().decode().splitlines() if "->" in line]
    assert names == ["0", "1", "2", "3"]  # 3 is the folder that ls reads


async def test_signals_are_as_programs_expect(spawner: Spawner) -> None:
    told = await ran(spawner, sh("grep -E 'SigBlk|SigIgn' /proc/self/status"))
    blocked, ignored = [int(line.split()[1], 16) for line in told.output().splitlines()]
    assert blocked == 0
    # What is ignored here was so before Python (nohup), but for what Python itself ignores; 32
    # and 33 are the C library's own.
    ours = {number for number in range(1, 32) if signal.getsignal(number) is signal.SIG_IGN}
    expected = ours - {signal.SIGPIPE, signal.SIGXFSZ}
    if is_uvloop(asyncio.get_running_loop()):  # libuv has nothing ignored in what it starts
        expected = set()
    assert {number for number in range(1, 32) if ignored >> (number - 1) & 1} == expected


async def test_it_has_a_group_of_its_own(spawner: Spawner) -> None:
    told = await ran(spawner, sh("ps -o pgid= -p $$; echo $$"))
    group_, pid = map(int, told.output().split())
    assert group_ == pid != os.getpgid(0)


async def test_signals_reach_the_group(spawner: Spawner) -> None:
    told = Told(sh("trap 'echo usr1; exit 3' USR1; echo ready; while :; do sleep 0.01; done"))

    def signalled(event: Event) -> None:
        if type(event) is Output and event.data == b"ready\n":
            told.job.signal(signal.SIGUSR1)

    told.hook = signalled
    end = await told.run(spawner)
    assert told.output() == b"ready\nusr1\n"
    assert end.status == 3


async def test_given_descriptors_are_shared(spawner: Spawner, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"given")
    stdin = os.open(tmp_path / "in", os.O_RDONLY)
    stdout = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT)
    await ran(spawner, Command(("cat",), stdin=stdin, stdout=stdout))
    os.close(stdin)
    os.close(stdout)
    assert (tmp_path / "out").read_bytes() == b"given"


async def test_what_the_kernel_says(helpers: Helpers) -> None:
    told = await ran(
        helpers,
        Command(("python3", "-S", "-c", "x = b'x' * 50_000_000\nfor i in range(2_000_000): pass")),
    )
    assert told.end
    assert told.end.usage
    user, system, rss = told.end.usage
    assert 0.01 < user < 20
    assert 0 <= system < 20
    assert 50_000_000 < rss < 500_000_000


async def test_a_terminal_of_its_own(helpers: Helpers) -> None:
    line = "tty; stty size; stty -echo; read x; echo got $x; stty size; ps -o tty= -p $$; exit 4"
    told = Told(Command(("sh", "-c", line), terminal=WindowSize(31, 97)))
    seen = asyncio.Event()
    told.hook = lambda event: seen.set() if b"31 97" in told.output() else None
    running = asyncio.create_task(told.run(helpers))
    await seen.wait()
    told.job.resize(WindowSize(50, 132))
    assert told.job.stdin
    assert await told.job.stdin.write(b"hello\n")
    end = await running
    tty, size, *rest = told.output().decode().split("\r\n")
    assert tty.startswith("/dev/pts/")
    assert size == "31 97"
    assert rest[-4:-1] == ["got hello", "50 132", tty.removeprefix("/dev/")]
    assert end.status == 4


async def test_the_plain_way_says_what_it_cannot() -> None:
    for command in (
        Command(("true",), terminal=WindowSize()),
        Command(("true",), surroundings=Surroundings(umask=0o77)),
        Command(("true",), surroundings=Surroundings(nice=1)),
    ):
        with pytest.raises(NotStartedError, match="true: the plain way knows only cwd and env"):
            await Told(command).run(Plain())
