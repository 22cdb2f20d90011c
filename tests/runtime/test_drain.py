"""An end without losses: TERM while clients are in the middle of it."""

from __future__ import annotations

import asyncio
import signal
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.runtime.process import LOOPS, ServerProcess, serving
from tests.runtime.talkers import SecureTalker, Talker

pytestmark = [
    pytest.mark.asyncio(loop_factories=["asyncio"]),
    pytest.mark.parametrize("loop", LOOPS),
]

GRACE = 3
SLACK = 10
"""Seconds beyond the grace period for a busy machine; a server that hangs takes longer."""


@pytest.fixture(params=["streams", "protocol"])
def api(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


async def drained(
    server: ServerProcess, talkers: list[Talker], *, fall_silent: bool
) -> list[tuple[Talker, int]]:
    """End the server amid the talk; each talker with the lines it had handed over by then."""
    silent = asyncio.Event()
    async with asyncio.timeout(GRACE + SLACK), asyncio.TaskGroup() as group:
        for each in talkers:
            group.create_task(each.talk(silent))
        await asyncio.gather(*(each.answers(20) for each in talkers))
        handed_over = [each.sent for each in talkers]
        server.signal(signal.SIGTERM)
        if fall_silent:
            silent.set()
    async with asyncio.timeout(SLACK):
        assert await server.ended() == -signal.SIGTERM
    assert not server.complaints()
    assert "cut at the end" not in server.log
    return list(zip(talkers, handed_over, strict=True))


@pytest.mark.parametrize("fall_silent", [True, False], ids=["silent", "busy"])
async def test_every_line_handed_over_is_answered(loop: str, api: str, fall_silent: bool) -> None:
    options = ("--timeout-graceful-shutdown", GRACE, "--bind", "tcp://127.0.0.1:0")
    async with serving("echo", "--api", api, *options, loop=loop) as server:
        talkers = [await Talker.connect(server.ports[0]) for _ in range(200)]
        for talker, handed_over in await drained(server, talkers, fall_silent=fall_silent):
            assert talker.answered >= handed_over
            talker.check()
        assert len([line for line in server.lines if "server shut down" in line]) == 200


@pytest.mark.parametrize("fall_silent", [True, False], ids=["silent", "busy"])
async def test_every_line_handed_over_is_answered_over_tls(
    loop: str, api: str, fall_silent: bool, own_certificates: Path
) -> None:
    options = ("--timeout-graceful-shutdown", GRACE, "--bind", "tls://127.0.0.1:0", "--tls")
    async with serving("echo", "--api", api, *options, loop=loop) as server:
        context = ssl.create_default_context(cafile=own_certificates / "ca.pem")
        talkers: list[Talker] = []
        for _ in range(30):
            secure = await SecureTalker.connect(server.ports[0])
            await secure.secure(context)
            talkers.append(secure)
        for talker, handed_over in await drained(server, talkers, fall_silent=fall_silent):
            assert talker.answered >= handed_over
            talker.check()


async def test_one_who_never_reads_delays_nobody_beyond_the_grace_period(
    loop: str, api: str
) -> None:
    options = ("--timeout-graceful-shutdown", GRACE, "--bind", "tcp://127.0.0.1:0")
    async with (
        serving("echo", "--api", api, *options, loop=loop) as server,
        deaf_client(server.ports[0]),
    ):
        talker = await Talker.connect(server.ports[0])
        silent = asyncio.Event()
        async with asyncio.timeout(GRACE + SLACK), asyncio.TaskGroup() as group:
            group.create_task(talker.talk(silent))
            await talker.answers(20)
            handed_over = talker.sent
            server.signal(signal.SIGTERM)
            silent.set()
            assert await server.ended() == -signal.SIGTERM
        assert talker.answered >= handed_over
        talker.check()
        assert "1 connection cut at the end of the grace period" in server.log
        assert not server.complaints()


async def test_a_second_signal_ends_it_at_once(loop: str, api: str) -> None:
    # The test's own timeout is shorter than this grace period.
    options = ("--timeout-graceful-shutdown", 3600, "--bind", "tcp://127.0.0.1:0")
    async with (
        serving("echo", "--api", api, *options, loop=loop) as server,
        deaf_client(server.ports[0]),
    ):
        server.signal(signal.SIGINT)
        await server.logged("draining 1 connection, for at most 3600 s")
        server.signal(signal.SIGINT)
        assert await server.ended() == -signal.SIGINT
        assert not server.complaints()


@asynccontextmanager
async def deaf_client(port: int) -> AsyncIterator[None]:
    """Send as much as the server takes, and never read, until the block's end."""
    talker = await Talker.connect(port)

    async def send() -> None:
        with suppress(ConnectionError):
            while True:
                await talker.write(bytes(65_536))

    sending = asyncio.create_task(send())
    try:
        yield
    finally:
        sending.cancel()
        await asyncio.wait([sending])
        talker.sock.close()


async def test_quiet_connections_end_one_after_the_other(loop: str) -> None:
    words = ("echo", "--bind", "tcp://127.0.0.1:0", "--drain-spread", 1)
    async with serving(*words, loop=loop) as server:
        talkers = [await Talker.connect(server.ports[0]) for _ in range(20)]
        for talker in talkers:
            await talker.write(b"x")
            assert await talker.read() == b"x"
        order = []

        async def end(number: int) -> None:
            assert await talkers[number].read() == b""
            order.append(number)
            talkers[number].sock.close()

        server.signal()
        await asyncio.gather(*map(end, range(20)))
        assert await server.ended() == -signal.SIGTERM
        # Two that are due in one look of the server may be seen the other way round.
        assert all(abs(number - place) <= 2 for place, number in enumerate(order))
