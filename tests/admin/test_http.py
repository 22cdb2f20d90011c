"""The admin endpoint of one server, asked by curl and read by promtool."""

from __future__ import annotations

import asyncio
import json
import re
import stat
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from netkit import endpoints
from netkit.addresses import Address, parse
from netkit.admin.http import administering
from netkit.admin.source import Alone
from netkit.observability.figures import Tally
from netkit.server import Server
from netkit.servers.echo import echo
from netkit.targets import as_service
from tests.peers import peer
from tests.runtime.talkers import Talker


@asynccontextmanager
async def administered(where: str) -> AsyncIterator[tuple[Server, Address, int]]:
    """An echo server with its admin endpoint; also the server's port."""
    tally = Tally()
    (endpoint,) = endpoints.bind(parse("tcp://127.0.0.1:0"))
    server = Server(as_service(echo), [endpoint], tally=tally)
    async with server, administering(Alone(server, tally), parse(where)) as address:
        yield server, address, endpoint.address.port


async def curl(address: Address, path: str, *more: str) -> tuple[int, str]:
    """Status and body of a request by curl."""
    words = [peer("curl"), "-sS", "-w", "\n%{http_code}", *more]
    if address.scheme == "unix":
        words += ["--unix-socket", address.path, f"http://localhost{path}"]
    else:
        words += [f"http://{address.authority}{path}"]
    body, _, status = (await output(*words)).rpartition("\n")
    return int(status), body


async def output(*words: str, given: bytes = b"") -> str:
    """What a program writes to stdout; it must succeed."""
    # Without input no pipe: on uvloop writing to one whose reader has ended raises.
    process = await asyncio.create_subprocess_exec(
        *words, stdin=PIPE if given else DEVNULL, stdout=PIPE, stderr=PIPE
    )
    said, complaint = await process.communicate(given or None)
    assert process.returncode == 0, complaint.decode() + said.decode()
    return said.decode()


def value(text: str, name: str) -> float:
    """The value of one line of a scrape."""
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    assert found, f"{name} is not in:\n{text}"
    return float(found[1])


async def test_figures_are_what_happened() -> None:
    async with administered("tcp://127.0.0.1:0") as (_, admin, port):
        first, second = await Talker.connect(port), await Talker.connect(port)
        for talker in (first, second):
            await talker.write(b"hello")
            assert await talker.read() == b"hello"
        _, text = await curl(admin, "/metrics")
        assert value(text, "netkit_connections_accepted_total") == 2
        assert value(text, 'netkit_connections_open{worker="0"}') == 2
        assert value(text, "netkit_received_bytes_total") == 10
        first.sock.close()
        while True:
            _, text = await curl(admin, "/metrics")
            if value(text, 'netkit_connections_open{worker="0"}') == 1:
                break
        assert value(text, "netkit_received_bytes_total") == 10
        assert value(text, "netkit_sent_bytes_total") == 10
        assert value(text, "netkit_connection_duration_seconds_count") == 1
        second.sock.close()


async def test_promtool_finds_nothing_to_say() -> None:
    async with administered("tcp://127.0.0.1:0") as (_, admin, port):
        talker = await Talker.connect(port)
        talker.sock.close()
        _, text = await curl(admin, "/metrics")
        assert await output(peer("promtool"), "check", "metrics", given=text.encode()) == ""


async def test_connections_are_listed() -> None:
    async with administered("tcp://127.0.0.1:0") as (_, admin, port):
        talker = await Talker.connect(port)
        await talker.write(b"hello")
        assert await talker.read() == b"hello"
        status, text = await curl(admin, "/connections")
        assert status == 200
        (listed,) = json.loads(text)
        host, own = talker.sock.getsockname()
        assert listed["peer"] == f"{host}:{own}"
        assert (listed["received"], listed["sent"], listed["worker"]) == (5, 5, 0)
        assert listed["rtt"] > 0
        talker.sock.close()


async def test_ready_until_it_drains() -> None:
    async with administered("tcp://127.0.0.1:0") as (server, admin, port):
        assert await curl(admin, "/healthz") == (200, "ok\n")
        assert await curl(admin, "/readyz") == (200, "ready\n")
        talker = await Talker.connect(port)
        await talker.write(b"x")
        assert await talker.read() == b"x"
        stopping = asyncio.create_task(server.stop(patient=True))
        while (await curl(admin, "/readyz"))[0] != 503:
            pass
        assert await curl(admin, "/healthz") == (200, "ok\n")
        talker.sock.close()
        await stopping


async def test_a_connection_is_cut_over_the_owners_socket_only(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    async with administered(f"unix:{path}") as (_, admin, port):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        talker = await Talker.connect(port)
        await talker.write(b"x")
        assert await talker.read() == b"x"
        ((number),) = [each["id"] for each in json.loads((await curl(admin, "/connections"))[1])]
        assert (await curl(admin, f"/kick?id={number + 1}", "-X", "POST"))[0] == 404
        assert (await curl(admin, "/kick?id=x", "-X", "POST"))[0] == 400
        assert await curl(admin, f"/kick?id={number}", "-X", "POST") == (200, "cut\n")
        with suppress(ConnectionResetError):
            assert await talker.read() == b""
        talker.sock.close()
    assert not path.exists()
    async with administered("tcp://127.0.0.1:0") as (_, admin, _):
        assert (await curl(admin, "/kick?id=1", "-X", "POST"))[0] == 404
