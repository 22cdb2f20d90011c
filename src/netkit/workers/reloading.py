"""For development: reload the workers when a source file changes (``--reload``).

Needs the extra: ``pip install netkit-serve[reload]`` (watchfiles, which hears of
changes from the kernel and needs no polling).
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path

from watchfiles import Change, DefaultFilter, awatch

log = logging.getLogger("netkit.workers")

SUFFIXES = (".py", ".toml")
"""What a server is made of; watchfiles leaves out caches, version control and editors' files."""


class Sources(DefaultFilter):
    """Lets changes of sources through."""

    def __call__(self, change: Change, path: str) -> bool:
        """Whether a change is worth a reload."""
        return path.endswith(SUFFIXES) and super().__call__(change, path)


@asynccontextmanager
async def reloading(folders: Collection[Path]) -> AsyncIterator[None]:
    """Do as HUP does whenever a source below `folders` changes, for the length of the block."""
    over = asyncio.Event()
    task = asyncio.get_running_loop().create_task(_hang_up(folders, over))
    try:
        yield
    finally:
        over.set()
        await task


async def _hang_up(folders: Collection[Path], over: asyncio.Event) -> None:
    async for changes in awatch(*folders, watch_filter=Sources(), stop_event=over):
        names = sorted({Path(path).name for _, path in changes})
        log.info("changed: %s", ", ".join(names[:3] + ["…"] * (len(names) > 3)))
        signal.raise_signal(signal.SIGHUP)
