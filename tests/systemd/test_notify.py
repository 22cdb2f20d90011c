"""What a server says to its service manager, over a real datagram socket."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from asyncio.subprocess import PIPE
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from netkit.systemd.notify import KEPT, Notifier
from tests.runtime.process import COMMAND, LOOPS, ServerProcess, serving
from tests.systemd.manager import Manager
from tests.workers.crew import ON_TCP, STARTS, WHO, echoes, serves, workers

pytestmark = [pytest.mark.asyncio(loop_factories=["asyncio"])]
STAYS = """
import asyncio

async def handle(reader, writer):
    "Outlast every grace period."
    writer.write(b"0\\n")
    await asyncio.Event().wait()
"""

both = pytest.mark.parametrize("loop", LOOPS)


@pytest.fixture
def app(tmp_path: Path) -> str:
    path = tmp_path / "app.py"
    path.write_text(WHO)
    return f"{path}:handle"


def under(manager: Manager, *more: str) -> tuple[str, ...]:
    return ("env", f"NOTIFY_SOCKET={manager.address}", *more)


def environment(pid: int) -> set[str]:
    """Names of the variables that a process was started with."""
    entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return {os.fsdecode(entry.partition(b"=")[0]) for entry in entries}


async def hang_up(server: ServerProcess, manager: Manager) -> None:
    """Reload as Type=notify-reload does, and check that the answer is to this request."""
    before = time.monotonic_ns() // 1000
    server.signal(signal.SIGHUP)
    first, _, usec = (await manager.hear("RELOADING=1")).partition("\n")
    assert first == "RELOADING=1"
    assert usec.startswith("MONOTONIC_USEC=")
    assert int(usec.partition("=")[2]) >= before
    await manager.hear("READY=1")


@both
@pytest.mark.parametrize("count", [1, 2])
async def test_a_life(loop: str, count: int, app: str, tmp_path: Path) -> None:
    with Manager(tmp_path / "notify") as manager:
        words = (app, *ON_TCP, "--workers", count)
        async with serving(*words, loop=loop, before=under(manager)) as server:
            await manager.hear("READY=1")
            talker, _ = await serves(server.ports[0])
            await hang_up(server, manager)
            if count == 1:
                assert await echoes(talker)
            server.signal()
            await manager.hear("STOPPING=1")
            assert await talker.read() == b""
            talker.sock.close()
            assert await server.ended() == -signal.SIGTERM
            assert not server.complaints("warning", "error")
        manager.take()
        assert manager.states == ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]
        assert manager.senders == {server.process.pid}


@both
@pytest.mark.parametrize("count", [1, 2])
async def test_the_status_counts_connections(
    loop: str, count: int, app: str, tmp_path: Path
) -> None:
    with Manager(tmp_path / "notify") as manager:
        words = (app, *ON_TCP, "--workers", count)
        async with serving(*words, loop=loop, before=under(manager)) as server:
            talkers = [(await serves(server.ports[0]))[0] for _ in range(3)]
            while not (status := await manager.hear("STATUS=")).endswith(": 3"):
                pass
            wanted = "STATUS=open connections: 3"
            assert status == (wanted if count == 1 else "STATUS=workers: 2; open connections: 3")
            for talker in talkers:
                talker.sock.close()


@both
@pytest.mark.parametrize("count", [1, 2])
async def test_the_watchdog_is_fed_until_the_end(loop: str, count: int, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(STAYS)
    with Manager(f"@netkit-test-{os.getpid()}-{loop}-{count}") as manager:
        words = (f"{tmp_path}/app.py:handle", *ON_TCP, "--workers", count)
        before = under(manager, "WATCHDOG_USEC=200000")
        async with serving(*words, loop=loop, before=before) as server:
            await manager.hear("READY=1")
            for _ in range(3):
                await manager.hear("WATCHDOG=1")
            talker, _ = await serves(server.ports[0])
            server.signal()
            await manager.hear("STOPPING=1")
            for _ in range(3):  # while the connection drains
                await manager.hear("WATCHDOG=1")
            server.signal()
            await server.ended()
            talker.sock.close()


@pytest.mark.parametrize("count", [1, 2])
async def test_only_the_service_itself_speaks(count: int, app: str, tmp_path: Path) -> None:
    with Manager(tmp_path / "notify") as manager:
        words = (app, *ON_TCP, "--workers", count)
        others = under(manager, "WATCHDOG_USEC=200000", "WATCHDOG_PID=1")
        async with serving(*words, loop="asyncio", before=others) as server:
            await manager.hear("READY=1")
            for pid in workers(server):
                assert not environment(pid) & {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}
            await manager.hear("STATUS=")
            await manager.hear("STATUS=")
        manager.take()
        assert "WATCHDOG=1" not in manager.heard  # it is another process's


@both
async def test_a_watchdog_of_this_very_process(loop: str, app: str, tmp_path: Path) -> None:
    with Manager(tmp_path / "notify") as manager:
        exec_with_pid = ("sh", "-c", 'WATCHDOG_PID=$$ exec "$@"', "sh")
        before = under(manager, "WATCHDOG_USEC=200000", *exec_with_pid)
        async with serving(app, *ON_TCP, loop=loop, before=before):
            await manager.hear("WATCHDOG=1")


@both
async def test_a_reload_while_it_starts_waits_for_readiness(
    loop: str, app: str, tmp_path: Path
) -> None:
    with Manager(tmp_path / "notify") as manager:
        words = (app, *ON_TCP, "--workers", 2, "--log-level", "debug")
        before = under(manager, "WATCHDOG_USEC=60000000")
        process = await asyncio.create_subprocess_exec(
            *before, *COMMAND, "serve", *map(str, words), "--loop", loop, stderr=PIPE
        )
        server = ServerProcess(process)
        try:
            await manager.hear("WATCHDOG=1")  # its signals are set by then, its workers not ready
            server.signal(signal.SIGHUP)
            await server.logged("reloaded 2 workers")
            assert await server.stop() == -signal.SIGTERM
        finally:
            server.signal(signal.SIGKILL)
            await server.ended()
        manager.take()
        assert manager.states == ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]


@both
@pytest.mark.parametrize("count", [1, 2])
async def test_a_start_that_fails_is_no_readiness(loop: str, count: int, tmp_path: Path) -> None:
    with Manager(tmp_path / "notify") as manager, socket.create_server(("127.0.0.1", 0)) as taken:
        words = ("echo", "--port", str(taken.getsockname()[1]), "--workers", str(count))
        process = await asyncio.create_subprocess_exec(
            *under(manager), *COMMAND, "serve", *words, "--loop", loop, stderr=PIPE
        )
        _, errors = await process.communicate()
        assert process.returncode == 3
        assert b"the port is taken" in errors
        manager.take()
        assert not manager.states


@both
@pytest.mark.parametrize("count", [1, 2])
async def test_an_end_while_it_starts(loop: str, count: int, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(STARTS)
    with Manager(tmp_path / "notify") as manager:
        words = (f"{tmp_path}/app.py:Starts", *ON_TCP, "--workers", str(count), "--loop", loop)
        process = await asyncio.create_subprocess_exec(
            *under(manager), *COMMAND, "serve", *words, stderr=PIPE
        )
        server = ServerProcess(process)
        try:
            await server.logged("starting")
            assert await server.stop() == -signal.SIGTERM
        finally:
            server.signal(signal.SIGKILL)
            await server.ended()
        manager.take()
        assert manager.states == ["STOPPING=1"]


@both
@pytest.mark.parametrize("address", ["/nonexistent/notify", "vsock:2:1", "@", "/" + "x" * 200])
async def test_a_manager_that_is_not_there_stops_nothing(loop: str, address: str, app: str) -> None:
    before = ("env", f"NOTIFY_SOCKET={address}", f"WATCHDOG_USEC={'9' * 5000}")
    async with serving(app, *ON_TCP, loop=loop, before=before) as server:
        talker, _ = await serves(server.ports[0])
        assert await echoes(talker)
        talker.sock.close()
        server.signal(signal.SIGHUP)
        await server.logged("reload: no certificate has changed")
        assert await server.stop() == -signal.SIGTERM
        assert not server.complaints("warning", "error")


async def test_nothing_is_claimed_where_nothing_is_given() -> None:
    environment = {"PATH": "/bin"}
    with closing(Notifier.claim(environment)) as notifier:
        assert notifier.address is None
        notifier.ready()
        notifier.stopping()
    assert environment == {"PATH": "/bin"}


async def test_states_wait_for_room_in_the_queue(tmp_path: Path) -> None:
    with Manager(tmp_path / "notify") as manager, filler(manager) as fill:
        variables = {"NOTIFY_SOCKET": manager.address}
        with closing(Notifier.claim(variables)) as notifier:
            assert not variables
            fill()
            notifier.ready()
            notifier.status("lost, as it does not matter")
            for _ in range(KEPT):
                with notifier.reloading():
                    pass
            notifier.stopping()
            manager.take()
            assert not manager.states
            notifier.status("now")
            await manager.hear("STATUS=now")
            assert manager.states[-1] == "STOPPING=1"
            assert len(manager.states) == KEPT


async def test_of_two_reloads_at_once_the_last_end_counts(tmp_path: Path) -> None:
    with (
        Manager(tmp_path / "notify") as manager,
        closing(Notifier(manager.address)) as notifier,
    ):
        with notifier.reloading():
            notifier.ready()
        with notifier.reloading(), notifier.reloading():
            manager.take()
        with notifier.reloading():
            notifier.stopping()
        manager.take()
    reload = ["RELOADING=1", "RELOADING=1", "READY=1", "RELOADING=1", "STOPPING=1"]
    assert manager.states == ["READY=1", "RELOADING=1", "READY=1", *reload]


@contextmanager
def filler(manager: Manager) -> Iterator[Callable[[], None]]:
    """What fills the manager's queue to the last datagram."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)

        def fill() -> None:
            with suppress(BlockingIOError):
                while True:
                    sock.sendto(b"X", manager.address)

        yield fill
