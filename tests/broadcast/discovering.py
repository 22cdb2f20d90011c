"""``netkit discover`` and other commands as processes, and names for what they look for."""

from __future__ import annotations

import asyncio
import json
import secrets
import subprocess

from tests.broadcast.namespaces import Host
from tests.runtime.process import COMMAND


def unheard_of() -> str:
    """A name that nobody else has."""
    return f"test {secrets.token_hex(8)}"


def discovered(*words: str, host: Host | None = None) -> list[dict[str, object]]:
    """What ``netkit discover`` finds, on another host of a network if that is given."""
    command = [*COMMAND, "discover", "--json", *words]
    if host:
        command = [str(each) for each in host.command(*command)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: list[dict[str, object]] = json.loads(done.stdout)
    return found


async def output(*words: str) -> str:
    """What a command prints that goes well."""
    process = await asyncio.create_subprocess_exec(*COMMAND, *words, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    assert process.returncode == 0
    return said.decode()


class running:  # noqa: N801  # used like a function
    """A process and what it says on standard error, ended with TERM after the block."""

    def __init__(self, *words: object) -> None:
        self._words = [str(each) for each in words]

    async def __aenter__(self) -> asyncio.subprocess.Process:
        self._process = await asyncio.create_subprocess_exec(
            *self._words, stderr=asyncio.subprocess.PIPE
        )
        return self._process

    async def __aexit__(self, *_: object) -> None:
        if self._process.returncode is None:
            self._process.terminate()
        await self._process.communicate()


async def said(process: asyncio.subprocess.Process, text: str) -> None:
    """Wait until it has said that."""
    assert process.stderr
    so_far = ""
    while text not in so_far:
        line = await process.stderr.readline()
        assert line, f"it ended without {text!r}: {so_far}"
        so_far += line.decode()
