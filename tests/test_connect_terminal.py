"""netkit connect on a terminal: a pseudo-terminal with somebody typing."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.test_connect import COMMAND, LIMIT, both_loops, socat

PROMPT = b"\x1b[?2004h"  # bracketed paste on: lines are being edited


class Typist:
    """The person at the terminal."""

    def __init__(self, screen: int, process: subprocess.Popen[bytes]) -> None:
        self.screen, self.process = screen, process
        self.seen = b""

    def type(self, text: bytes) -> None:
        os.write(self.screen, text)

    def see(self, text: bytes) -> None:
        while text not in self.seen:
            try:
                more = os.read(self.screen, 65536)
            except OSError:  # EIO: the other end is closed
                more = b""
            assert more, self.seen
            self.seen += more
            if b"\x1b[6n" in more:  # asked where the cursor is, as a terminal is
                os.write(self.screen, b"\x1b[1;1R")
        self.seen = self.seen.partition(text)[2]


@contextmanager
def at_a_terminal(*arguments: str, state: Path) -> Iterator[Typist]:
    screen, line = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "XDG_STATE_HOME": str(state)}
    with subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=line,
        stdout=line,
        stderr=line,
        env=environment,
        start_new_session=True,
    ) as process:
        os.close(line)
        try:
            yield Typist(screen, process)
        finally:
            process.kill()
            os.close(screen)


@both_loops
def test_lines_are_edited_sent_and_kept(loop: str, tmp_path: Path) -> None:
    with (
        socat("echo welcome; cat") as port,
        at_a_terminal("localhost", port, "--loop", loop, state=tmp_path) as typist,
    ):
        typist.see(b"welcome")
        typist.see(PROMPT)
        typist.type(b"hellp\x7fo\r")
        typist.see(b"hello\r\n")  # as it comes back
        typist.see(PROMPT)
        typist.type(b"\x04")
        assert typist.process.wait(LIMIT) == 0
    history = tmp_path / "netkit" / "history"
    assert "+hello\n" in history.read_text()
    assert history.stat().st_mode & 0o777 == 0o600


@both_loops
def test_the_peers_escape_sequences_are_not_obeyed(loop: str, tmp_path: Path) -> None:
    trick = tmp_path / "trick"
    trick.write_bytes(b"\x1b]0;owned\x07\n")
    with (
        socat(f"cat {trick} -") as port,
        at_a_terminal("localhost", port, "--loop", loop, state=tmp_path) as typist,
    ):
        typist.see(b"^[]0;owned^G")
        typist.see(PROMPT)
        typist.type(b"\x04")
        assert typist.process.wait(LIMIT) == 0


@both_loops
def test_control_c_is_died_of(loop: str, tmp_path: Path) -> None:
    with (
        socat("echo welcome; cat") as port,
        at_a_terminal("localhost", port, "--loop", loop, state=tmp_path) as typist,
    ):
        typist.see(b"welcome")
        typist.see(PROMPT)
        typist.type(b"\x03")
        assert typist.process.wait(LIMIT) == -signal.SIGINT
