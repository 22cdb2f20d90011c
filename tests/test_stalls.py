"""A loop that is held up says by whom, while it is."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
import time

import pytest

from netkit.observability.stalls import Stalls


class Heard(logging.Handler):
    """Lets the one who blocks go on as soon as somebody has complained of it."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.complained = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        self.complained.set()


@pytest.fixture
def heard() -> Heard:
    return Heard()


async def watched(heard: Heard, block: object) -> str:
    """What is said of a callable that blocks until it is complained of."""
    log = logging.getLogger("netkit.server")
    log.addHandler(heard)
    stalls = Stalls(threshold=0.05)
    stalls.start()
    try:
        assert callable(block)
        block()
    finally:
        stalls.stop()
        log.removeHandler(heard)
    (line,) = heard.lines
    return line


async def test_the_one_who_sleeps_is_named(heard: Heard) -> None:
    def handle() -> None:
        while not heard.complained.is_set():
            time.sleep(0.01)  # the fault that is tested

    line = await watched(heard, handle)
    assert line.startswith("the loop has been held up for 0.")
    assert ".handle() in test_stalls.py:" in line


async def test_with_the_library_that_it_waits_in(heard: Heard) -> None:
    def handle() -> None:
        while not heard.complained.is_set():
            # Blocks the loop: the fault that is tested.
            subprocess.run([sys.executable, "-c", "import time; time.sleep(0.2)"], check=True)

    line = await watched(heard, handle)
    assert ".handle() in test_stalls.py:" in line
    assert " of subprocess.py" in line or " of selectors.py" in line


class Looks(threading.Event):
    """Lets the watching thread look often, and counts."""

    count = 0

    def wait(self, timeout: float | None = None) -> bool:
        self.count += 1
        return super().wait(0.001)


async def test_a_loop_that_turns_is_left_alone(
    heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = logging.getLogger("netkit.server")
    log.addHandler(heard)
    stalls = Stalls(threshold=5.0)
    looks = Looks()
    monkeypatch.setattr(stalls, "_over", looks)
    stalls.start()
    while looks.count < 20:
        await asyncio.sleep(0)  # a turn of the loop
    stalls.stop()
    log.removeHandler(heard)
    assert heard.lines == []
