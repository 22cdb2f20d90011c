"""Threads of our own, and signals."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from netkit import threads

AT_ITS_END = """
import asyncio, os, signal
from io import StringIO
from netkit.observability.logs import LineWriter
writer = LineWriter(StringIO())
loop = asyncio.new_event_loop()
loop.add_signal_handler(signal.SIGTERM, lambda: None)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
loop._csock.close()  # as loop.close() does it, before it lets go of the signals
os.kill(os.getpid(), signal.SIGTERM)
loop.remove_signal_handler(signal.SIGTERM)
writer.close()
print("written to the end", flush=True)
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
"""


def blocked(thread: threading.Thread) -> set[int]:
    """The signals that one blocks, as proc(5) has them."""
    status = Path(f"/proc/self/task/{thread.native_id}/status").read_text()
    found = re.search(r"SigBlk:\s+(\w+)", status)
    assert found
    mask = int(found[1], 16)
    return {number for number in range(1, 65) if mask >> (number - 1) & 1}


def test_they_block_what_is_not_their_own_fault() -> None:
    over = threading.Event()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    thread = threads.start(over.wait, "waits")
    try:
        assert thread.daemon
        assert {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1} <= blocked(thread)
        assert not blocked(thread) & {signal.SIGSEGV, signal.SIGABRT}
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
    finally:
        over.set()
        thread.join()


@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_a_signal_at_the_end_does_not_come_by_the_thread_of_the_log() -> None:
    process = await create_subprocess_exec(
        sys.executable, "-c", AT_ITS_END, stdout=PIPE, stderr=PIPE, env={**os.environ}
    )
    said, complaints = await process.communicate()
    assert (said, complaints) == (b"written to the end\n", b"")
    assert process.returncode == -signal.SIGTERM
