"""Metrics that a server's author adds, with real processes, read by promtool."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from netkit.addresses import Address
from netkit.observability.authored import Authored
from netkit.service import Service
from tests.admin.test_crew import ADMIN, admin_of
from tests.admin.test_http import curl, output, value
from tests.house import ROOT
from tests.peers import peer
from tests.runtime.process import LOOPS, ServerProcess, serving
from tests.runtime.talkers import Talker
from tests.workers.crew import ON_TCP, echoes, one_of_each, replaced, serves, workers

real = pytest.mark.asyncio(loop_factories=["asyncio"])
loops = pytest.mark.parametrize("loop", LOOPS)

EVERYTHING = """
import os
from dataclasses import dataclass

from prometheus_client import Counter, Enum, Gauge, Histogram, Info, Summary

from netkit import Service

LINES = Counter("app_lines", "Lines.", ["first"])
DEPTH = Gauge("app_depth", "Lines that are answered now.")
SECONDS = Histogram("app_line_seconds", "Time of a line.", buckets=(0.1, 1))
BYTES = Summary("app_line_bytes", "Length of a line.")
Info("app_build", "What was built.").info({"colour": "red", "worker": "bee"})
Enum("app_mood", "How it is.", states=["well", "ill"]).state("well")
FOREIGN = Gauge("netkit_connections_open", "What is netkit's.")


@dataclass
class App(Service):
    "Says its process id, echoes lines and counts them."

    def __post_init__(self):
        self.lines = 0

    def figures(self):
        return {"app_echoed_total": self.lines, "app_pid": os.getpid(), "app-bad": 1}

    async def handle(self, reader, writer):
        writer.write(b"%d\\n" % os.getpid())
        while line := await reader.readline():
            with DEPTH.track_inprogress(), SECONDS.time():
                self.lines += 1
                LINES.labels(line[:1].decode()).inc()
                BYTES.observe(len(line))
                writer.write(line)
                await writer.drain()
"""


@pytest.fixture
def app(tmp_path: Path) -> str:
    path = tmp_path / "app.py"
    path.write_text(EVERYTHING)
    return f"{path}:App"


async def scrape(admin: Address) -> str:
    """A scrape that promtool accepts."""
    status, text = await curl(admin, "/metrics")
    assert status == 200
    assert await output(peer("promtool"), "check", "metrics", given=text.encode()) == ""
    return text


@real
@loops
@pytest.mark.parametrize("count", [1, 2])
async def test_everything_that_an_author_adds(loop: str, count: int, app: str) -> None:
    async with serving(app, *ON_TCP, *ADMIN, "--workers", count, loop=loop) as server:
        admin = await admin_of(server)
        found = await one_of_each(server.ports[0], count)
        for talker in found.values():
            assert await echoes(talker, b"hello\n")
            assert await echoes(talker, b"hi\n")
            assert await echoes(talker, b"you\n")
        text = await scrape(admin)
        assert value(text, 'app_lines_total{first="h"}') == 2 * count
        assert value(text, 'app_lines_total{first="y"}') == count
        assert value(text, 'app_line_seconds_bucket{le="+Inf"}') == 3 * count
        assert value(text, "app_line_seconds_count") == 3 * count
        assert value(text, "app_line_bytes_sum") == len("hello\nhi\nyou\n") * count
        assert value(text, "app_echoed_total") == 3 * count
        for number in range(1, count + 1) if count > 1 else (0,):
            assert value(text, f'app_depth{{worker="{number}"}}') == 0
            assert value(text, f'app_pid{{worker="{number}"}}') in found
            assert value(text, f'app_mood{{app_mood="well",worker="{number}"}}') == 1
            labels = f'colour="red",exported_worker="bee",worker="{number}"'
            assert value(text, f"app_build_info{{{labels}}}") == 1
        assert not re.search(r"^(process_|python_|app-bad|app_\w+_created)", text, re.MULTILINE)
        assert value(text, f'netkit_connections_open{{worker="{min(1, count - 1)}"}}') >= 1
        await scrape(admin)
        for talker in found.values():
            talker.sock.close()
    assert len([line for line in server.lines if "is no name of a metric" in line]) == count
    assert len([line for line in server.lines if "netkit_… is netkit's" in line]) == count
    assert not server.complaints()


async def counted(admin: Address) -> dict[str, float]:
    """An author's counters of one scrape."""
    _, text = await curl(admin, "/metrics")
    found = re.findall(
        r"^(app_\S+_(?:total|count|sum|bucket)(?:\{.*\})?) (\S+)$", text, re.MULTILINE
    )
    return {name: float(number) for name, number in found}


@real
@loops
async def test_nothing_goes_backwards_while_workers_are_replaced_and_die(
    loop: str, app: str
) -> None:
    async with serving(app, *ON_TCP, *ADMIN, "--workers", 2, loop=loop) as server:
        admin, over = await admin_of(server), asyncio.Event()

        async def come_and_go() -> None:
            while not over.is_set():
                with suppress(AssertionError, ConnectionError):  # by a worker that was killed
                    talker, _ = await serves(server.ports[0])
                    with closing(talker.sock):
                        await echoes(talker)

        async def watch() -> int:
            before: dict[str, float] = {}
            count = 0
            while not over.is_set():
                now = await counted(admin)
                assert not {name for name in before if now.get(name, 0) < before[name]}
                before, count = now, count + 1
            return count

        async with asyncio.TaskGroup() as group:
            watching = group.create_task(watch())
            for _ in range(4):
                group.create_task(come_and_go())
            for count in (1, 2):
                victim = min(workers(server))
                os.kill(victim, signal.SIGKILL)
                await replaced(server, {victim}, 2)
                server.signal(signal.SIGHUP)
                await server.logged("reloaded 2 workers", count)
            over.set()
        assert watching.result() > 5
        assert (await counted(admin))["app_echoed_total"] > 0


@real
@loops
async def test_workers_that_end_in_order_take_nothing_along(loop: str, app: str) -> None:
    async with serving(app, *ON_TCP, *ADMIN, "--workers", 2, loop=loop) as server:
        admin = await admin_of(server)
        echoed = 0
        for count in (1, 2):
            before = workers(server)
            for talker in (await one_of_each(server.ports[0], 2)).values():
                assert await echoes(talker)
                talker.sock.close()
                echoed += 1
            server.signal(signal.SIGHUP)
            await server.logged("reloaded 2 workers", count)
            await replaced(server, before, 2)
        now = await counted(admin)
        assert now["app_echoed_total"] == now['app_lines_total{first="h"}'] == echoed
        assert now["app_line_seconds_count"] == now["app_line_bytes_count"] == echoed


@real
@loops
async def test_a_reload_that_changes_what_a_metric_is(loop: str, app: str, tmp_path: Path) -> None:
    async with serving(app, *ON_TCP, *ADMIN, "--workers", 2, loop=loop) as server:
        admin = await admin_of(server)
        keeper, pid = await serves(server.ports[0])  # keeps a worker of the old code
        assert await echoes(keeper)
        changed = EVERYTHING.replace('Summary("app_line_bytes"', 'Histogram("app_line_bytes"')
        changed = changed.replace("buckets=(0.1, 1)", "buckets=(0.2, 1)")
        (tmp_path / "app.py").write_text(changed)
        server.signal(signal.SIGHUP)
        await server.logged("reloaded 2 workers")
        for talker in (await one_of_each(server.ports[0], 2)).values():
            assert await echoes(talker)
            talker.sock.close()
        text = await scrape(admin)
        assert value(text, "app_line_bytes_count") == 2
        assert value(text, 'app_line_seconds_bucket{le="0.2"}') == 2
        assert value(text, "app_echoed_total") == 3
        assert re.search(rf'^app_pid{{worker="./{pid}"}} {pid}', text, re.MULTILINE)
        await scrape(admin)
        assert len(await server.logged("app_line_bytes: it has another type or other buckets")) == 1
        keeper.sock.close()


def in_the_documentation(holding: str) -> str:
    page = (ROOT / "docs" / "admin.md").read_text()
    (program,) = [
        each for each in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if holding in each
    ]
    return str(program)


async def said(server: ServerProcess, words: bytes) -> Talker:
    talker = await Talker.connect(server.ports[0])
    await talker.write(words)
    assert (await talker.read()).endswith(b"\n")
    return talker


@real
@loops
async def test_the_handler_in_the_documentation(loop: str, tmp_path: Path) -> None:
    (tmp_path / "jobs.py").write_text(in_the_documentation("JOBS = Counter"))
    async with serving(
        f"{tmp_path}/jobs.py:handle", *ON_TCP, *ADMIN, "--workers", 2, loop=loop
    ) as server:
        admin = await admin_of(server)
        talkers = [await said(server, word) for word in (b"mail\n", b"mail\n", b"\xffanything\n")]
        text = await scrape(admin)
        assert value(text, 'jobs_total{kind="mail"}') == 2
        assert value(text, 'jobs_total{kind="other"}') == 1
        assert value(text, "job_seconds_count") == 3
        assert value(text, 'jobs_running{worker="2"}') == 0
        _, listed = await curl(admin, "/connections")
        assert listed.count('"says": "does mail"') == 2
        for talker in talkers:
            talker.sock.close()


@real
@loops
async def test_the_service_in_the_documentation(loop: str, tmp_path: Path) -> None:
    (tmp_path / "lines.py").write_text(in_the_documentation("class Lines(Service)"))
    async with serving(f"{tmp_path}/lines.py:Lines", *ON_TCP, *ADMIN, loop=loop) as server:
        admin = await admin_of(server)
        talker = await said(server, b"hello\n")
        text = await scrape(admin)
        assert value(text, "lines_total") == 1
        assert value(text, 'line_talkers{worker="0"}') == 1
        talker.sock.close()


@real
@loops
async def test_figures_of_each_upstream(loop: str) -> None:
    exec_, nowhere = 'exec:printf "%s"', "unix:/nowhere"
    words = ("--to", exec_, "--to", nowhere, "--check-every", 0, *ADMIN)
    async with serving("tls", "--bind", "tls://127.0.0.1:0", *words, loop=loop) as server:
        text = await scrape(await admin_of(server))
        quoted = exec_.replace('"', r"\"")
        for name in (quoted, nowhere):
            assert value(text, f'tls_upstream_failures_total{{upstream="{name}"}}') == 0
            assert value(text, f'tls_upstream_up{{upstream="{name}",worker="0"}}') == 1


class Failing(Service):
    def figures(self) -> Mapping[str, float]:
        raise LookupError("no such thing")


class Odd(Service):
    def figures(self) -> Mapping[str, Any]:
        return {"good": 1, "netkit_open": 2, "good_total": 3.5, "no number": 4, "last": "much"}


def test_figures_that_fail_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    authored = Authored(Failing())
    assert not authored.families(at_end=True).by_name
    assert not caplog.records
    for _ in range(3):
        assert not authored.families().by_name
    (record,) = caplog.records
    assert record.getMessage().startswith("Failing.figures() failed: LookupError: no such thing (")
    assert "test_authored.py:" in record.getMessage()


def test_of_odd_figures_the_good_ones_are_taken(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        families = Authored(Odd()).families().by_name
    assert {name: (each.kind, *each.values.values()) for name, each in families.items()} == {
        "good": ("gauge", 1.0),
        "good_total": ("counter", 3.5),
    }
    assert [record.getMessage().partition(" (")[0] for record in caplog.records] == [
        "Odd.figures(): netkit_open is left out: netkit_… is netkit's",
        "Odd.figures(): 'no number' is no name of a metric; left out",
        "Odd.figures() failed: ValueError: could not convert string to float: 'much'",
    ]


class Sorted(Service):
    def __init__(self, label: str = "kind") -> None:
        self.label = label

    def figures(self) -> Mapping[str, Any]:
        return {"jobs_total": {self.label: {"mail": 3, "print": 1.5}}, "idle": {self.label: {}}}


def test_figures_that_are_told_apart_by_a_label() -> None:
    families = Authored(Sorted()).families().by_name
    assert families["jobs_total"].values == {
        ("jobs_total", (("kind", "mail"),)): 3.0,
        ("jobs_total", (("kind", "print"),)): 1.5,
    }
    assert families["idle"].values == {}


@pytest.mark.parametrize("label", ["", "1st", "a-b", "__name__"])
def test_a_label_that_prometheus_does_not_know(
    label: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert not Authored(Sorted(label)).families().by_name
    (record,) = caplog.records
    assert f"Sorted.figures() failed: ValueError: {label!r} is no name of a label" in (
        record.getMessage()
    )


LIBRARY = """
import logging, sys
import netkit.workers.member
from netkit.observability.authored import Authored
from netkit.service import Service
logging.basicConfig(format="%(message)s")
assert "prometheus_client" not in sys.modules
authored = Authored(Service())
assert not authored.families().by_name
import prometheus_client as library
assert not authored.families().by_name, authored.families()
"""


def ran(program: str) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", LIBRARY + program], capture_output=True, text=True, check=False
    )
    return done.stdout, done.stderr


def test_a_worker_does_without_the_library_and_leaves_its_own_metrics_out() -> None:
    assert ran("") == ("", "")


def test_a_collector_that_fails_is_said_once_and_the_rest_is_served() -> None:
    out, log = ran("""
library.Counter("before", "Before.").inc()
library.Gauge("broken", "Broken.").set_function(lambda: 1 / 0)
library.Counter("after", "After.").inc()
print(*authored.families().by_name, *authored.families().by_name)
""")
    assert out == "before_total before_total\n"
    (line,) = log.splitlines()
    assert "those after it are left out: ZeroDivisionError: division by zero (" in line


def test_too_many_samples_are_left_out_and_it_is_said_once() -> None:
    out, log = ran("""
seen = library.Counter("seen", "Seen.", ["who"])
for who in range(12_000):
    seen.labels(who).inc()
for _ in range(2):
    print(len(authored.families().by_name["seen_total"].values))
""")
    assert out == "9999\n9999\n"
    assert log == "metrics beyond 10000 samples, or 4 MiB, are left out\n"


@pytest.mark.parametrize("size", [10, 5_000_000])
async def test_the_last_words_of_a_worker_are_with_the_kernel(size: int) -> None:
    from netkit.workers.channel import Channel

    ours, theirs = socket.socketpair()
    channel, other = await Channel.over(ours), await Channel.over(theirs)
    hearing = asyncio.create_task(other.hear())
    channel.say("last", text="x" * size)
    await channel.flushed()
    channel._writer.transport.abort()  # as when the process ends
    assert len((await hearing or {})["text"]) == size
    other.close()
