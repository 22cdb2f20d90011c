"""Our side on a terminal: line editing and history, incoming lines above the prompt.

Needs prompt_toolkit (the extra ``terminal``) and imports it only here.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.application import in_terminal
from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from netkit.stdio import Streams


class Terminal:
    """A prompt to type lines at; what comes is printed above it.

    `streams` does the writing, and stays the caller's to close. `show` makes what comes
    harmless. History is kept in `history`, readable by its owner alone; None: not kept.
    """

    def __init__(
        self, streams: Streams, show: Callable[[bytes], bytes], history: Path | None
    ) -> None:
        self._streams, self._show = streams, show
        self._prompt: PromptSession[str] = PromptSession(
            history=_open_history(history), reserve_space_for_menu=0
        )

    async def read(self, size: int) -> bytes:
        """Wait for a line; empty on Ctrl-D. Ctrl-C becomes a SIGINT to this process."""
        try:
            line = await self._prompt.prompt_async("")
        except EOFError:
            return b""
        except KeyboardInterrupt:
            # Here Ctrl-C is a key, and this a task: the runner's own handler ends the
            # session from the outside, as it does without a prompt.
            signal.raise_signal(signal.SIGINT)
            await asyncio.Event().wait()
            raise
        return f"{line}\n".encode(errors="surrogateescape")

    async def write(self, data: bytes) -> None:
        """Print above the prompt; a line without its end gets one, or the prompt would hide it."""
        text = self._show(data)
        if text:
            await self._print(text if text.endswith(b"\n") else text + b"\n")

    async def note(self, text: str) -> None:
        """Print a remark above the prompt."""
        await self._print(text.encode())

    async def _print(self, text: bytes) -> None:
        async with in_terminal():
            await self._streams.write(text)


def history_file() -> Path:
    """Where lines typed are kept: ``$XDG_STATE_HOME/netkit/history``."""
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "netkit" / "history"


def _open_history(path: Path | None) -> History:
    if path is None:
        return InMemoryHistory()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Lines may hold passwords. An older file is mended too.
        os.close(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
        path.chmod(0o600)
    except OSError:
        return InMemoryHistory()  # a read-only home is no reason not to connect
    return FileHistory(path)
