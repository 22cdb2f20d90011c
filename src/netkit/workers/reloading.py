"""For development: reload the workers when a source file changes (``--reload``).

Needs the extra: ``pip install netkit-serve[reload]`` (watchfiles, which hears of
changes from the kernel and needs no polling).
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from importlib.util import cache_from_source
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


def forget_bytecode(source: str) -> None:
    """Remove what Python has compiled of a source, if it is kept beside it.

    Python takes it for current by the source's size and its time in whole seconds: what is
    saved right after a worker began would be served as it was.
    """
    with suppress(OSError, NotImplementedError):  # not ours to write to; an interpreter without
        Path(cache_from_source(source)).unlink(missing_ok=True)


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
        for _, path in changes:
            forget_bytecode(path)
        signal.raise_signal(signal.SIGHUP)
