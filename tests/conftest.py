"""What every test gets: both loops, and nothing left behind."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
import pytest_asyncio
import uvloop

from tests.forked import forks

__all__ = ["forks"]

# How long an example takes on a busy machine says nothing of what is tested.
hypothesis.settings.register_profile("netkit", deadline=None)
hypothesis.settings.load_profile("netkit")

# A shell's background job has it ignored, and so would have every process that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# libuv opens a pipe for signals once for the whole process, with the first loop.
uvloop.new_event_loop().close()


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run each async test once on each loop."""
    return {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the longest tests, a few at a time: none is to be waited for at the end.

    Each worker of pytest-xdist starts with an equal share of the list.
    """
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    long = [item for item in items if item.get_closest_marker("long")]
    others = [item for item in items if not item.get_closest_marker("long")]
    starts = range(0, workers, 2)
    shares = [long[number :: len(starts)] for number in range(len(starts))]
    items[:] = others
    # From the last: an insertion moves what comes behind it.
    for start, share in sorted(zip(starts, shares, strict=True), reverse=True):
        place = start * (len(others) + len(long)) // workers
        items[place:place] = share


def pytest_collection_finish() -> None:
    """Leave what is imported and collected by now out of the collections after each test.

    A collection takes a tenth of a second with it, and a few milliseconds without.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def own_certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep development certificates of each test in a folder of its own."""
    folder = tmp_path / "certs"
    monkeypatch.setenv("NETKIT_CERTS", str(folder))
    monkeypatch.setenv("NO_COLOR", "1")
    return folder


@pytest.fixture(autouse=True)
def no_descriptor_left() -> Iterator[None]:
    """Fail a test that leaves a file descriptor open in this process."""
    before = open_descriptors()
    yield
    gc.collect()
    left = {fd: name for fd, name in open_descriptors().items() if fd not in before}
    assert not left, f"descriptors left open: {left}"


def open_descriptors() -> dict[int, str]:
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found[int(entry.name)] = str(entry.readlink())
        except OSError:  # the listing's own descriptor
            continue
    return found


@pytest_asyncio.fixture(autouse=True)
async def no_task_left(
    request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[None]:
    """Fail an async test that leaves a task running or an error in the loop's handler."""
    caplog.set_level(logging.WARNING, "asyncio")
    yield
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert not left, f"tasks left running: {left}"
    complaints = [r.getMessage() for r in caplog.get_records("call") if r.name == "asyncio"]
    assert not complaints, f"the loop complained: {complaints}"
