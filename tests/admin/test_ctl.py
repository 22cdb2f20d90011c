"""``netkit ctl`` against real servers."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from tests.commands import netkit_beside
from tests.runtime.process import LOOPS, ServerProcess, serving
from tests.workers.crew import ON_TCP, WHO, echoes, kill, replaced, serves, workers

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio"])

on_each_loop = pytest.mark.parametrize("loop", LOOPS)


@pytest.fixture
def app(tmp_path: Path) -> str:
    path = tmp_path / "app.py"
    path.write_text(WHO)
    return f"{path}:handle"


async def ctl(verb: str, *words: object) -> tuple[int, str]:
    """Status of ``netkit ctl``, and what it says."""
    ended = await netkit_beside("ctl", verb, *words)
    return ended.status, ended.output + ended.errors


@on_each_loop
async def test_a_crew(loop: str, app: str, tmp_path: Path) -> None:
    admin = f"unix:{tmp_path}/admin.sock"
    async with serving(app, *ON_TCP, "--workers", 2, "--admin", admin, loop=loop) as server:
        talker, pid = await serves(server.ports[0])
        await of_workers(admin, server, pid)
        own = "{}:{}".format(*talker.sock.getsockname())
        status, text = await ctl("list", admin)
        assert status == 0
        head = " ".join(text.splitlines()[0].split())
        assert head == "WORKER ID PEER AGE IN OUT RTT QUIET TLS SAYS"
        assert f"  {own}  " in text
        _, text = await ctl("tasks", admin)
        (line,) = [line for line in text.splitlines() if "  handle() in app.py:" in line]
        assert line.split()[0] in ("1", "2")
        assert line.split()[-1].startswith("reader.py:")
        _, text = await ctl("stacks", admin)
        assert "  handle() in app.py:" in text
        assert "    Reader.readline() in reader.py:" in text
        for verb in ("tasks", "stacks"):
            found = json.loads((await ctl(verb, admin, "--json"))[1])
            (task,) = [each for each in found if "handle() in app.py" in "".join(each["stack"])]
            assert task["pid"] == pid
        ((listed),) = [
            each
            for each in json.loads((await ctl("list", admin, "--json"))[1])
            if each["pid"] == pid
        ]
        assert await ctl("kick", admin, listed["worker"], listed["id"]) == (0, "cut\n")
        with suppress(ConnectionResetError):
            assert await talker.read() == b""
        talker.sock.close()
        assert await ctl("scale", admin, 3) == (0, "workers: 3\n")
        before = workers(server)
        assert len(before) == 3
        assert await ctl("reload", admin) == (0, "reloading\n")
        await server.logged("reloaded 3 workers")
        await replaced(server, before, 3)
        assert await ctl("drain", admin) == (0, "draining\n")
        assert await server.ended() == -signal.SIGTERM


async def of_workers(admin: str, server: ServerProcess, pid: int) -> None:
    """What ``ctl workers`` says of two, the one with this process id with a connection."""
    status, text = await ctl("workers", admin)
    assert status == 0
    head, *rows = (line.split() for line in text.splitlines())
    assert " ".join(head) == "WORKER PID STATE AGE OPEN LAG MEMORY FDS"
    assert {int(row[1]) for row in rows} == workers(server)
    told = json.loads((await ctl("workers", admin, "--json"))[1])
    assert (told["pid"], told["restarts"]) == (server.process.pid, 0)
    (its,) = [each for each in told["workers"] if each["pid"] == pid]
    assert its["gauges"]["open"] == 1
    assert 3 < its["gauges"]["descriptors"] < 100


async def test_what_cannot_be_is_one_line(app: str, tmp_path: Path) -> None:
    admin = f"unix:{tmp_path}/admin.sock"
    status, text = await ctl("list", admin)
    assert (status, len(text.splitlines())) == (1, 1)
    assert "No such file or directory; is a server there" in text
    async with serving(app, *ON_TCP, "--admin", admin, loop="uvloop"):
        for words, says in (
            (("kick", admin, 0, 7), "no connection 7 of worker 0"),
            (("scale", admin, 2), "not scaled: one process"),
            (("scale", admin, 0), "give ?workers=NUMBER, 1 to"),
            (("list", "udp://127.0.0.1:1"), "an admin address is unix:PATH or HOST:PORT"),
        ):
            status, text = await ctl(*words)
            assert (status, len(text.splitlines())) == (2, 1), text
            assert says in text
    async with serving(app, *ON_TCP, "--admin", "127.0.0.1:0", loop="uvloop") as server:
        (line,) = await server.logged("admin on ")
        status, text = await ctl("reload", line.rpartition(" ")[2])
        assert status == 2
        assert "it changes nothing over TCP; give the server's unix: address" in text


@on_each_loop
@pytest.mark.parametrize(("fault", "inside"), [("block", ""), ("hog", "match() in __init__.py")])
async def test_what_holds_up_a_worker_is_shown(
    loop: str, fault: str, inside: str, app: str, tmp_path: Path
) -> None:
    admin = f"unix:{tmp_path}/admin.sock"
    words = (app, *ON_TCP, "--workers", 2, "--admin", admin)
    async with serving(*words, loop=loop) as server:
        talker, pid = await serves(server.ports[0])
        try:
            await talker.write(f"{fault}\n".encode())
            stack = await of_held_up(admin, pid)
            assert stack[0].startswith("handle() in app.py:")
            assert stack[-1].startswith(inside or "handle() in app.py:")
            status, text = await ctl("stacks", admin)
            assert status == 0
            assert f"worker {await number(admin, pid)} (the loop is held up)\n" in text
            told = json.loads((await ctl("workers", admin, "--json"))[1])
            assert [each["pid"] for each in told["workers"] if not each["answers"]] == [pid]
            os.kill(pid, signal.SIGSTOP)  # now it cannot even say that
            status, text = await ctl("stacks", admin)
            assert status == 1
            assert f"(pid {pid}): it is stopped, or waits in the kernel" in text
        finally:
            kill(pid, signal.SIGKILL)  # without its supervisor it would outlive the test
            talker.sock.close()


@on_each_loop
async def test_a_loop_that_a_thread_keeps_from_running(loop: str, app: str, tmp_path: Path) -> None:
    admin = f"unix:{tmp_path}/admin.sock"
    words = (app, *ON_TCP, "--workers", 2, "--admin", admin)
    async with serving(*words, loop=loop) as server:
        talker, pid = await serves(server.ports[0])
        try:
            await talker.write(b"hog elsewhere\n")
            assert await of_held_up(admin, pid) == []
        finally:
            kill(pid, signal.SIGKILL)  # without its supervisor it would outlive the test
            talker.sock.close()


async def of_held_up(admin: str, pid: int) -> list[str]:
    """The stack of a worker's loop once that is held up."""
    while True:
        found = json.loads((await ctl("stacks", admin, "--json"))[1])
        tasks = [each for each in found if each["pid"] == pid]
        if [each["task"] for each in tasks] == ["(the loop is held up)"]:
            return list(tasks[0]["stack"])


async def number(admin: str, pid: int) -> int:
    """Which worker has this process id."""
    told = json.loads((await ctl("workers", admin, "--json"))[1])
    (found,) = [each["worker"] for each in told["workers"] if each["pid"] == pid]
    return int(found)


@on_each_loop
async def test_while_two_have_a_number_the_process_id_says_which(
    loop: str, app: str, tmp_path: Path
) -> None:
    admin = f"unix:{tmp_path}/admin.sock"
    # The old worker stays while its connection does, however slow the machine is.
    words = (app, *ON_TCP, "--workers", 2, "--admin", admin, "--timeout-graceful-shutdown", 100)
    async with serving(*words, loop=loop) as server:
        assert (await ctl("scale", admin, 1))[0] == 0
        told = json.loads((await ctl("workers", admin, "--json"))[1])["workers"]
        (first,) = [each["pid"] for each in told if each["worker"] == 1]
        old, old_pid = await serves(server.ports[0])
        while old_pid != first:  # the second one may still take some of those that waited
            old.sock.close()
            old, old_pid = await serves(server.ports[0])
        server.signal(signal.SIGHUP)
        await server.logged("reloaded 1 worker")
        new, new_pid = await serves(server.ports[0])
        told = json.loads((await ctl("workers", admin, "--json"))[1])["workers"]
        leaving = {each["pid"]: each["leaving"] for each in told if each["worker"] == 1}
        assert leaving == {new_pid: False, old_pid: True}
        listed = json.loads((await ctl("list", admin, "--json"))[1])
        (number,) = [each["id"] for each in listed if each["pid"] == new_pid]
        assert (await ctl("kick", admin, 1, number, "--pid", 1))[0] == 2
        assert await ctl("kick", admin, 1, number, "--pid", new_pid) == (0, "cut\n")
        with suppress(ConnectionResetError):
            assert await new.read() == b""
        assert await echoes(old)
        for talker in (old, new):
            talker.sock.close()
