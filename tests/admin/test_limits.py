"""What limits do is served as metrics."""

from __future__ import annotations

from contextlib import AsyncExitStack

from netkit import Limits, endpoints
from netkit.addresses import parse
from netkit.admin.metrics import text
from netkit.admin.source import Alone
from netkit.observability.figures import Tally
from netkit.observability.vitals import descriptor_limit
from netkit.server import Server
from netkit.servers.echo import echo
from netkit.targets import as_service
from tests.admin.test_http import value
from tests.runtime.talkers import Talker


async def test_pauses_by_limit_and_descriptors() -> None:
    tally = Tally()
    (endpoint,) = endpoints.bind(parse("tcp://127.0.0.1:0"))
    limits = Limits(connections=2, per_prefix=2, loopback=True)
    server = Server(as_service(echo), [endpoint], tally=tally, limits=limits)
    async with server, AsyncExitStack() as stack:

        async def come() -> Talker:
            talker = await Talker.connect(endpoint.address.port)
            stack.callback(talker.sock.close)
            await talker.write(b"hello")
            return talker

        first, second = await come(), await come()
        assert await first.read() == b"hello"
        assert await second.read() == b"hello"
        served = text(await Alone(server, tally).report()).decode()
        assert value(served, 'netkit_accept_pauses_total{limit="connections"}') == 1
        assert value(served, 'netkit_descriptors_limit{worker="0"}') == descriptor_limit()
        used = value(served, 'netkit_descriptors_open{worker="0"}')
        assert 5 < used < descriptor_limit()
        third = await come()  # waits in the kernel's queue, and with it what it said
        first.sock.close()
        assert await third.read() == b"hello"


async def test_refusals_by_limit() -> None:
    tally = Tally()
    (endpoint,) = endpoints.bind(parse("tcp://127.0.0.1:0"))
    limits = Limits(per_address=2, per_prefix=1, loopback=True)
    server = Server(as_service(echo), [endpoint], tally=tally, limits=limits)
    async with server, AsyncExitStack() as stack:
        talkers = [await Talker.connect(endpoint.address.port) for _ in range(3)]
        for each in talkers:
            stack.callback(each.sock.close)
        for refused in talkers[1:]:
            assert await refused.read() == b""
        served = text(await Alone(server, tally).report()).decode()
        assert value(served, 'netkit_connections_refused_total{limit="per-prefix"}') == 2
        assert "per-address" not in served
