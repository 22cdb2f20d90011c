"""The service over frames: streams, ends, credit, several jobs at once, detached ones."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

import netkit
from netkit.errors import StartError, UsageError
from netkit.jobs.frames import Kind
from netkit.jobs.messages import SIZE, Exit, Listed, Queued, Terminal, decode, encode
from netkit.servers.runner import Runner
from netkit.servers.runner.job import HELD, Run
from netkit.subprocesses.pipes import LARGE
from tests.runner.talking import HERE, audited, listed, running, shell, talker

CAT = f'[commands.cat]\nprogram = "/bin/cat"\nstdin = true\n{HERE}'
ECHO = f"""[commands.echo]
program = "/bin/echo"
arguments = ["{{text}}"]
parameters.text = {{ pattern = ".*" }}
{HERE}"""


def runs(server: netkit.Server) -> list[Run]:
    """The jobs that have not ended."""
    assert isinstance(server.service, Runner)
    return list(server.service._house.runs._tasks.values())


async def test_output_status_and_what_the_kernel_says(tmp_path: Path) -> None:
    path = listed(tmp_path, shell("both", "echo out; echo err >&2; exit 7"))
    async with running(path) as server, talker(server) as one:
        assert (await one.started("both")).stdin is False
        out, err, end = await one.end()
    assert (out, err) == (b"out\n", b"err\n")
    assert (end.status, end.signal, end.reason) == (7, None, "exit")
    assert end.user is not None
    assert end.max_rss


async def test_a_megabyte_goes_there_and_back(tmp_path: Path) -> None:
    data = os.urandom(1024 * 1024)
    async with running(listed(tmp_path, CAT)) as server, talker(server) as one:
        assert (await one.started("cat", stdin=True)).stdin

        async def give() -> None:
            for at in range(0, len(data), 16_384):
                await room.acquire()
                await one.send(Kind.STDIN, data[at : at + 16_384])
            await one.send(Kind.STDIN_END)

        room = asyncio.Semaphore(16)  # the window is 16 times as much
        out = b""
        giving = asyncio.create_task(give())
        granted = 0
        while True:
            frame = await one.frame()
            if frame.kind is Kind.CREDIT:
                granted += int.from_bytes(frame.payload, "big")
                while granted >= 16_384:
                    granted -= 16_384
                    room.release()
            elif frame.kind is Kind.STDOUT:
                out += frame.payload
                await one.send(Kind.CREDIT, len(frame.payload).to_bytes(4, "big"))
            elif frame.kind is Kind.EXIT:
                break
        await giving
    assert out == data


async def test_several_jobs_on_one_connection(tmp_path: Path) -> None:
    async with running(listed(tmp_path, ECHO + CAT)) as server, talker(server) as one:
        await one.started("cat", job=9, stdin=True)
        for number in range(1, 5):
            await one.start("echo", f"job {number}", job=number)
            assert (await one.end(number))[0] == b"job %d\n" % number
        await one.send(Kind.STDIN, b"still here", 9)
        await one.send(Kind.STDIN_END, job=9)
        assert (await one.end(9))[0] == b"still here"


async def test_a_job_that_nobody_reads_waits_and_holds_up_no_other(tmp_path: Path) -> None:
    path = listed(tmp_path, ECHO + shell("flood", "exec cat /dev/zero", "output = 9_000_000_000\n"))
    async with running(path) as server, talker(server, greeted=False) as one:
        await one.hello(window=1024)
        await one.started("flood", job=1)
        assert len((await one.until(Kind.STDOUT, 1)).payload) == 1024
        for _ in range(5):
            await one.start("echo", "quick", job=2)
            assert (await one.end(2))[0] == b"quick\n"
        (run,) = runs(server)
        assert HELD <= run.tape.held <= HELD + LARGE + 8192
        await one.send(Kind.CREDIT, (1).to_bytes(4, "big"), 1)
        assert len((await one.until(Kind.STDOUT, 1)).payload) == 1


async def test_signals_reach_the_job(tmp_path: Path) -> None:
    script = "trap 'echo caught; exit 3' INT; echo ready; while :; do sleep 0.05; done"
    path = listed(tmp_path, shell("trap", script) + shell("sleep", "echo ready; exec sleep 60"))
    async with running(path) as server, talker(server) as one:
        for name, number, wanted in ("trap", b"INT", (3, None)), ("sleep", b"KILL", (None, 9)):
            await one.started(name)
            assert (await one.until(Kind.STDOUT)).payload == b"ready\n"
            await one.send(Kind.SIGNAL, number)
            _, _, end = await one.end()
            assert (end.status, end.signal) == wanted


async def test_a_time_limit(tmp_path: Path) -> None:
    path = listed(tmp_path, shell("stuck", "trap '' TERM; echo go; while :; do sleep 1; done",
                                  "timeout = 0.3\ngrace = 0.2\n"))  # fmt: skip
    async with running(path) as server, talker(server) as one:
        await one.start("stuck")
        out, _, end = await one.end()
    assert (out, end.signal, end.reason) == (b"go\n", 9, "timeout")


async def test_a_job_that_writes_too_much_is_ended(tmp_path: Path) -> None:
    path = listed(tmp_path, shell("much", "exec cat /dev/zero", "output = 100_000\n"))
    async with running(path) as server, talker(server) as one:
        await one.start("much")
        out, _, end = await one.end()
    assert out == bytes(100_000)
    assert (end.reason, end.signal) == ("output", 15)


async def test_a_terminal_and_its_size(tmp_path: Path) -> None:
    script = "echo $TERM; stty size; read x; stty size; test -t 0 && exit 4"
    path = listed(tmp_path, shell("tty", script, "terminal = true\n"))
    async with running(path) as server, talker(server) as one:
        await one.started("tty", terminal=Terminal(40, 132, "xterm"))
        seen = b""
        while b"40 132" not in seen:
            seen += (await one.until(Kind.STDOUT)).payload
        await one.send(Kind.SIZE, SIZE.pack(50, 100))
        await one.send(Kind.STDIN, b"\r")
        out, err, end = await one.end()
    assert seen.startswith(b"xterm\r\n")
    assert b"50 100" in out
    assert (err, end.status) == (b"", 4)


async def test_the_end_of_input_on_a_terminal(tmp_path: Path) -> None:
    path = listed(tmp_path, shell("tty", "exec cat", "terminal = true\n"))
    async with running(path) as server, talker(server) as one:
        await one.started("tty", terminal=Terminal(24, 80))
        await one.send(Kind.STDIN, b"hi\r")
        await one.send(Kind.STDIN_END)
        out, _, end = await one.end()
    assert (out, end.status) == (b"hi\r\nhi\r\n", 0)


async def test_who_disconnects_ends_the_job(tmp_path: Path) -> None:
    path = listed(tmp_path, shell("sleep", "echo $$; exec sleep 60"))
    audit = tmp_path / "audit"
    async with running(path, audit=audit) as server:
        async with talker(server) as one:
            await one.started("sleep")
            pid = int((await one.until(Kind.STDOUT)).payload)
            assert Path(f"/proc/{pid}").exists()
        service = server.service
        assert isinstance(service, Runner)
        await service._house.runs.close_door()
        assert not Path(f"/proc/{pid}").exists()
    start, end = audited(audit)
    assert (start["event"], start["words"][0]) == ("start", "/bin/sh")
    assert (end["event"], end["reason"], end["signal"]) == ("end", "disconnected", 15)


async def test_the_end_of_the_server_ends_jobs(tmp_path: Path) -> None:
    path = listed(tmp_path, shell("sleep", "exec sleep 60", "detach = true\n"))
    audit = tmp_path / "audit"
    async with running(path, audit=audit) as server:
        async with talker(server) as one:
            await one.started("sleep", detach=True)
        server.hurry()
    assert audited(audit)[-1]["reason"] == "server"


async def test_detached_jobs_are_listed_watched_and_kept(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    script = f"echo first; read line < {fifo}; echo $line; exit 5"
    path = listed(tmp_path, shell("wait", script, "detach = true\n"))
    async with running(path) as server:
        async with talker(server) as one:
            number = (await one.started("wait", detach=True)).id
            await one.until(Kind.STDOUT)
        async with talker(server) as one, talker(server) as two:
            for watcher in (one, two):
                await watcher.attach(number)
                assert (await watcher.until(Kind.STDOUT)).payload == b"first\n"
            await one.send(Kind.LIST, job=7)
            listed_ = decode(Listed, (await one.until(Kind.LISTED, 7)).payload)
            assert (listed_.id, listed_.state, listed_.watchers) == (number, "running", 2)
            assert (await one.until(Kind.LISTED, 7)).payload == b""
            await asyncio.to_thread(fifo.write_text, "second\n")
            for watcher in (one, two):
                out, _, end = await watcher.end()
                assert (out, end.status) == (b"second\n", 5)
        async with talker(server) as late:
            await late.attach(number)
            assert (await late.end())[0] == b"first\nsecond\n"


async def test_a_slow_watcher_holds_up_no_detached_job_and_hears_what_it_missed(
    tmp_path: Path,
) -> None:
    script = "head -c 1000000 /dev/zero; echo end"
    path = listed(tmp_path, shell("much", script, "detach = true\n"))
    async with running(path, replay=200_000) as server, talker(server, greeted=False) as slow:
        await slow.hello(window=1024)
        number = (await slow.started("much", detach=True)).id
        async with talker(server) as other:
            await other.attach(number)
            await other.end()
        heard = len((await slow.until(Kind.STDOUT)).payload)
        await slow.send(Kind.CREDIT, (2_000_000).to_bytes(4, "big"))
        lost = int.from_bytes((await slow.until(Kind.LOST)).payload, "big")
        out, _, _ = await slow.end()
        assert out.endswith(b"\0end\n")
        assert len(out) <= 200_000
        assert heard + lost + slow.lost + len(out) == 1_000_004


async def test_a_detached_job_is_killed_by_its_id(tmp_path: Path) -> None:
    path = listed(tmp_path, shell("sleep", "exec sleep 60", "detach = true\n"))
    async with running(path) as server, talker(server) as one:
        number = (await one.started("sleep", detach=True)).id
        end = await one.kill(number, 2)
        assert (end.signal, end.reason) == (15, "killed")
        assert await one.kill(number, 3) == end


async def test_what_ended_long_ago_is_forgotten(tmp_path: Path) -> None:
    path = listed(tmp_path, shell("true", "true", "detach = true\n"))
    async with running(path, keep=0.000001) as server, talker(server) as one:
        number = (await one.started("true", detach=True)).id
        await one.end()
        service = server.service
        assert isinstance(service, Runner)
        await asyncio.sleep(0)  # the end of the job is a callback
        service._house.runs.expire()
        await one.attach(number, 2)
        assert (await one.error(2)).startswith("gone")


async def test_the_queue(tmp_path: Path) -> None:
    path = listed(tmp_path, shell("sleep", "exec sleep 60") + ECHO)
    async with running(path, max_jobs=1, max_queue=2) as server, talker(server) as one:
        await one.started("sleep", job=1)
        for number in (2, 3):
            await one.start("echo", str(number), job=number)
            queued = decode(Queued, (await one.until(Kind.QUEUED, number)).payload)
            assert queued.ahead == number - 2
        await one.start("echo", "4", job=4)
        assert (await one.error(4)).startswith("busy")
        await one.send(Kind.SIGNAL, b"TERM", 3)  # one that waits is ended by it
        assert decode(Exit, (await one.until(Kind.EXIT, 3)).payload).reason == "killed"
        await one.send(Kind.SIGNAL, b"TERM", 1)
        assert (await one.end(2))[0] == b"2\n"


async def test_what_is_recorded(tmp_path: Path) -> None:
    path, audit = listed(tmp_path, ECHO), tmp_path / "audit"
    async with running(path, audit=audit) as server, talker(server) as one:
        await one.start("echo", "a\nb\x1b[2J")
        assert (await one.error()).startswith("argument")
        await one.start("echo", "hi", job=2)
        assert (await one.end(2))[2].status == 0
    refused, start, end = audited(audit)
    assert (refused["event"], refused["command"], refused["caller"]) == (
        "refused", "echo", ["loopback"],
    )  # fmt: skip
    assert start["words"] == end["words"] == ["/bin/echo", "hi"]
    assert (start["job"], end["status"], end["output"]) == (end["job"], 0, 3)
    assert audit.stat().st_mode & 0o777 == 0o600


async def test_without_an_audit_log_nothing_runs(tmp_path: Path) -> None:
    path, audit, ran = listed(tmp_path, ""), tmp_path / "folder" / "audit", tmp_path / "ran"
    path = listed(tmp_path, shell("touch", f"touch {ran}"))
    with pytest.raises(StartError, match=r"--audit .*No such file"):
        async with running(path, audit=audit):
            pass
    audit.parent.mkdir()
    async with running(path, audit=audit) as server, talker(server) as one:
        audit.unlink()
        audit.parent.rmdir()
        await one.start("touch")
        _, _, end = await one.end()
        assert (end.status, end.reason) == (None, "not started")
        assert "audit log" in end.error
        audit.parent.mkdir()
        await one.start("touch")
        assert (await one.end())[2].status == 0
    assert ran.exists()


async def test_a_unix_peer(tmp_path: Path) -> None:
    text = ECHO.replace("loopback", f"uid:{os.getuid()}")
    bind = f"unix:{tmp_path}/s"
    async with running(listed(tmp_path, text), bind=bind) as server, talker(server) as one:
        await one.start("echo", "hi")
        assert (await one.end())[0] == b"hi\n"
    async with running(listed(tmp_path, ECHO), bind=bind) as server, talker(server) as one:
        await one.start("echo", "hi")
        assert (await one.error()).startswith("denied")


async def test_a_program_that_is_gone(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    text = f'[commands.gone]\nprogram = "{program}"\n{HERE}'
    async with running(listed(tmp_path, text)) as server, talker(server) as one:
        program.unlink()
        await one.start("gone")
        _, _, end = await one.end()
    assert (end.status, end.reason) == (None, "not started")
    assert end.error.endswith("No such file or directory")


async def test_figures(tmp_path: Path) -> None:
    async with running(listed(tmp_path, ECHO)) as server, talker(server) as one:
        await one.start("echo", "x")
        await one.end()
        await one.start("none")
        await one.error()
        told = server.service.figures()
    assert (told["runner_jobs_total"], told["runner_refused_total"]) == (1, 1)


@pytest.mark.parametrize("flag", ["max_jobs", "replay", "keep", "max_detached_per_caller"])
def test_settings_that_cannot_be(flag: str) -> None:
    with pytest.raises(UsageError, match=f"--{flag.replace('_', '-')} 0: give more than 0"):
        Runner(**{flag: 0})  # type: ignore[arg-type]  # of several kinds


async def test_ping(tmp_path: Path) -> None:
    async with running(None) as server, talker(server) as one:
        await one.send(Kind.PING, b"there?", 0)
        assert (await one.until(Kind.PONG, 0)).payload == b"there?"
        assert encode(Queued(0, "")) == b'{"ahead":0,"id":""}'
