"""``netkit exec`` as a process, and lists with something to run."""

from __future__ import annotations

import asyncio
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import netkit
from tests import forked
from tests.forked import signalled
from tests.runner.talking import HERE
from tests.runtime.process import COMMAND

ECHO = f"""[commands.echo]
program = "/bin/echo"
arguments = ["{{text}}", "{{count}}"]
{HERE}
[commands.echo.parameters]
text = {{ pattern = ".*" }}
count = {{ type = "int", default = 1 }}
"""
CAT = f'[commands.cat]\nprogram = "/bin/cat"\nstdin = true\noutput = 99_000_000\n{HERE}'


@asynccontextmanager
async def executing(
    *words: object, loop: str, stdin: int = DEVNULL, stdout: int = PIPE
) -> AsyncIterator[Process]:
    """Run it until the block's end."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "exec", "--loop", loop, *map(str, words), stdin=stdin, stdout=stdout, stderr=PIPE
    )
    try:
        yield process
    finally:
        signalled(process, signal.SIGKILL)
        await process.communicate()


async def done(*words: object, loop: str, given: bytes | None = None) -> tuple[bytes, str, int]:
    """What it writes, says, and ends with."""
    line = ["exec", "--loop", loop, *map(str, words)]
    ended = await asyncio.to_thread(forked.netkit, line, given or b"")
    return ended.stdout, ended.stderr.decode(), ended.returncode


def at(server: netkit.Server) -> str:
    return server.addresses[0].partition("://")[2]
