"""Stacks as faulthandler writes them, and as they are shown."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from netkit.workers.snapshot import SIGNAL, Snapshot, places

WRITTEN = """Current thread 0x00007f41b9ca5740 (most recent call first):
  File "/usr/lib/python3.11/re/__init__.py", line 166 in match
  File "/home/me/app.py", line 12 in handle
  File "/usr/lib/python3.11/asyncio/events.py", line 84 in _run
  File "/usr/lib/python3.11/asyncio/base_events.py", line 1936 in _run_once
  File "/usr/lib/python3.11/asyncio/runners.py", line 118 in run
  File "/srv/netkit/serving.py", line 80 in run
  File "/srv/bin/netkit", line 8 in <module>
"""


def test_what_leads_to_the_loop_is_left_out() -> None:
    assert places(WRITTEN) == ["handle() in app.py:12", "match() in __init__.py:166"]


def test_asyncio_called_by_the_author_is_shown() -> None:
    lines = WRITTEN.splitlines()
    lines.insert(1, '  File "/usr/lib/python3.11/asyncio/streams.py", line 40 in write')
    assert places("\n".join(lines))[-1] == "write() in streams.py:40"


def test_a_loop_that_waits_does_nothing() -> None:
    lines = WRITTEN.splitlines()
    lines[1:4] = ['  File "/usr/lib/python3.11/selectors.py", line 468 in select']
    assert places("\n".join(lines)) == []


def test_a_stack_without_a_loop_is_shown_whole() -> None:
    assert places('  File "/a/b c.py", line ??? in <lambda>\n') == ["<lambda>() in b c.py:???"]


@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_one_that_writes_nothing_and_one_that_writes() -> None:
    snapshot = Snapshot()
    try:
        sent: list[signal.Signals] = []
        assert await snapshot.take(sent.append) is None
        assert sent == [SIGNAL]

        def write(number: signal.Signals) -> None:
            sent.append(number)
            os.write(snapshot.descriptor, WRITTEN.encode())

        # At the same time, and one after the other: each begins with empty memory.
        both = await asyncio.gather(snapshot.take(write), snapshot.take(write))
        assert list(both) == [places(WRITTEN)] * 2
        assert os.fstat(snapshot.descriptor).st_size == len(WRITTEN)
    finally:
        snapshot.close()
