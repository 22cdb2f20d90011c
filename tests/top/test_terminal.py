"""``netkit top`` in a real terminal: tmux is the screen and the keyboard."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.peers import peer
from tests.runtime.process import COMMAND, LOOPS, serving
from tests.runtime.talkers import Talker
from tests.workers.crew import ON_TCP

pytestmark = [
    pytest.mark.asyncio(loop_factories=["asyncio"]),
    pytest.mark.parametrize("loop", LOOPS),
]


class Terminal:
    """A terminal of 150 by 40 characters with a shell script in it."""

    def __init__(self, socket: Path) -> None:
        self._command = (peer("tmux"), "-S", str(socket), "-f", "/dev/null")

    async def tmux(self, *words: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *self._command, *words, stdin=DEVNULL, stdout=PIPE, stderr=PIPE
        )
        said, complaint = await process.communicate()
        assert process.returncode == 0, complaint.decode()
        return said.decode()

    async def seen(self, *texts: str, without: str = "\0") -> str:
        """Wait until the screen shows all of these."""
        while True:
            screen = await self.tmux("capture-pane", "-p")
            if all(text in screen for text in texts) and without not in screen:
                return screen

    async def modes(self) -> str:
        """What a program can switch: other screen, mouse, cursor, keypad."""
        flags = "#{alternate_on} #{mouse_any_flag} #{cursor_flag} #{keypad_flag}"
        return (await self.tmux("display-message", "-p", flags)).strip()


@asynccontextmanager
async def terminal(folder: Path, script: str) -> AsyncIterator[Terminal]:
    """Run a script of sh in a terminal, which is gone after the block."""
    terminal = Terminal(folder / "tmux")
    await terminal.tmux("new-session", "-d", "-x", "150", "-y", "40", "sh", "-c", script)
    try:
        yield terminal
    finally:
        await terminal.tmux("kill-server")


async def test_a_connection_is_seen_and_q_leaves_the_terminal_as_it_was(
    loop: str, tmp_path: Path
) -> None:
    admin = f"unix:{tmp_path}/admin.sock"
    script = (
        "unset COLUMNS LINES; "  # where the tests run under a program that sets them
        f"stty -g > {tmp_path}/before; echo began; read go; {' '.join(COMMAND)} top {admin}; "
        f"echo status $?; stty -g > {tmp_path}/after; echo ended; read go"
    )
    async with (
        serving("echo", *ON_TCP, "--workers", 2, "--admin", admin, loop=loop) as server,
        terminal(tmp_path, script) as screen,
    ):
        talker = await Talker.connect(server.ports[0])
        await talker.write(b"hello")
        assert await talker.read() == b"hello"
        await screen.seen("began")
        before = await screen.modes()
        await screen.tmux("send-keys", "Enter")
        peer_name = "{}:{}".format(*talker.sock.getsockname())
        await screen.seen(admin, peer_name, "Workers: 2 by WORKER", "Connections: 1 by IN/s")
        assert await screen.modes() != before
        await screen.tmux("send-keys", "k")
        await screen.seen(f"of worker {await worker_of(screen, peer_name)}, {peer_name}? (y/n)")
        await screen.tmux("send-keys", "n")
        await screen.seen(peer_name, without="(y/n)")
        await screen.tmux("send-keys", "q")
        text = await screen.seen("status 0", "ended")
        assert "Workers" not in text
        assert await screen.modes() == before
        assert (tmp_path / "after").read_text() == (tmp_path / "before").read_text()
        talker.sock.close()


async def worker_of(screen: Terminal, peer_name: str) -> str:
    """The number in the first column of a connection's row."""
    lines = (await screen.tmux("capture-pane", "-p")).splitlines()
    (row,) = [line for line in lines if f"  {peer_name} " in line]
    return row.split()[0]
