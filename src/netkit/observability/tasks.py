"""Every task of a loop, and where it waits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def tasks() -> list[dict[str, Any]]:
    """All tasks of the running loop but the one that asks, each with its stack, outermost first."""
    own = asyncio.current_task()
    return [
        {"task": task.get_name(), "stack": list(stack(task.get_coro()))}
        for task in sorted(asyncio.all_tasks(), key=lambda each: each.get_name())
        if task is not own
    ]


def stack(awaited: Any) -> Iterator[str]:
    """Where a coroutine waits, and what it waits in: ``handle() in app.py:12``."""
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)
        if frame is not None:
            code = frame.f_code
            yield f"{code.co_qualname}() in {Path(code.co_filename).name}:{frame.f_lineno}"
        inner = getattr(awaited, "cr_await", None)
        awaited = inner if inner is not None else getattr(awaited, "gi_yieldfrom", None)
