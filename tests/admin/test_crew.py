"""The admin endpoint of the command, for one process and for several workers."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from contextlib import closing, suppress
from pathlib import Path

import pytest

from netkit.addresses import Address, parse
from tests.admin.test_http import curl, value
from tests.runtime.process import LOOPS, ServerProcess, serving
from tests.workers.crew import ON_TCP, WHO, echoes, one_of_each, replaced, serves

pytestmark = [
    pytest.mark.asyncio(loop_factories=["asyncio"]),
    pytest.mark.parametrize("loop", LOOPS),
]

ADMIN = ("--admin", "127.0.0.1:0")


@pytest.fixture
def app(tmp_path: Path) -> str:
    path = tmp_path / "app.py"
    path.write_text(WHO)
    return f"{path}:handle"


async def admin_of(server: ServerProcess) -> Address:
    (line,) = await server.logged("admin on ")
    return parse(line.rpartition(" ")[2])


async def scraped(admin: Address) -> dict[str, float]:
    """The counters of one scrape."""
    status, text = await curl(admin, "/metrics")
    assert status == 200
    found = re.findall(r"^(\S+(?:_total|_count|_sum|_bucket\{.*\})) (\S+)$", text, re.MULTILINE)
    return {name: float(number) for name, number in found}


async def test_one_process(loop: str, app: str) -> None:
    async with serving(app, *ON_TCP, *ADMIN, loop=loop) as server:
        admin = await admin_of(server)
        talker, pid = await serves(server.ports[0])
        assert await echoes(talker)
        _, text = await curl(admin, "/metrics")
        assert value(text, "netkit_connections_accepted_total") == 1
        assert value(text, "netkit_received_bytes_total") == len("hello\n")
        assert value(text, "netkit_sent_bytes_total") == len(f"{pid}\nhello\n")
        server.signal()
        assert await talker.read() == b""
        talker.sock.close()
        assert await server.ended() == -signal.SIGTERM


async def test_workers_together(loop: str, app: str) -> None:
    async with serving(app, *ON_TCP, *ADMIN, "--workers", 2, loop=loop) as server:
        admin = await admin_of(server)
        found = await one_of_each(server.ports[0], 2)
        _, text = await curl(admin, "/metrics")
        assert value(text, "netkit_workers") == 2
        assert value(text, 'netkit_connections_open{worker="1"}') >= 1
        assert value(text, 'netkit_connections_open{worker="2"}') >= 1
        _, text = await curl(admin, "/connections")
        assert {each["pid"] for each in json.loads(text)} == set(found)
        for talker in found.values():
            talker.sock.close()


async def test_no_counter_goes_backwards_while_workers_are_replaced(loop: str, app: str) -> None:
    words = (app, *ON_TCP, *ADMIN, "--workers", 2)
    async with serving(*words, loop=loop) as server:
        admin, port, over = await admin_of(server), server.ports[0], asyncio.Event()
        visits = 0

        async def come_and_go() -> None:
            nonlocal visits
            while not over.is_set():
                with suppress(AssertionError, ConnectionError):  # by a worker that was killed
                    talker, _ = await serves(port)
                    with closing(talker.sock):
                        await echoes(talker)
                    visits += 1

        async def scrape() -> int:
            before: dict[str, float] = {}
            count = 0
            while not over.is_set():
                now = await scraped(admin)
                backwards = {name for name in before if now.get(name, 0) < before[name]}
                assert not backwards
                before, count = now, count + 1
            return count

        async with asyncio.TaskGroup() as group:
            scraping = group.create_task(scrape())
            for _ in range(4):
                group.create_task(come_and_go())
            for count in (1, 2):
                victim = min(await replaced(server, set(), 2))  # of those that stay
                os.kill(victim, signal.SIGKILL)
                await replaced(server, {victim}, 2)
                server.signal(signal.SIGHUP)
                await server.logged("reloaded 2 workers", count)
            over.set()
        assert scraping.result() > 5
        last = await scraped(admin)
        assert last["netkit_worker_restarts_total"] == 2
        # A killed worker takes along what it counted after its last beat or scrape.
        assert last["netkit_connections_accepted_total"] > visits / 2


async def test_a_connection_of_a_worker_is_cut(loop: str, app: str, tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    words = (app, *ON_TCP, "--admin", f"unix:{path}", "--workers", 2)
    async with serving(*words, loop=loop) as server:
        admin = await admin_of(server)
        talker, pid = await serves(server.ports[0])
        listed = json.loads((await curl(admin, "/connections"))[1])
        ((worker, number),) = [
            (each["worker"], each["id"]) for each in listed if each["pid"] == pid
        ]
        query = f"/kick?worker={worker}&id={number}"
        assert await curl(admin, query, "-X", "POST") == (200, "cut\n")
        with suppress(ConnectionResetError):
            assert await talker.read() == b""
        talker.sock.close()
        await server.logged("cut by the operator")
        assert (await curl(admin, query, "-X", "POST"))[0] == 404
