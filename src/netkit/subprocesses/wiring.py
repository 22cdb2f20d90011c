"""The descriptors of a job: its three, and our ends of them."""

from __future__ import annotations

import fcntl
import os
import struct
import termios

from netkit.subprocesses.command import Command, Stdio, WindowSize


class Wiring:
    """Pipes or a terminal between a job and us. Raises `OSError` if there are no descriptors.

    What was made for the job is closed by `started`; our ends belong to whoever takes them,
    and until then to `close`.
    """

    def __init__(self, command: Command) -> None:
        self._theirs: list[int] = []
        self.stdin = self.stdout = self.stderr = -1
        """Our ends; -1: there is none."""
        self.terminal = -1
        """The terminal's, beside that, for its size."""
        try:
            if command.terminal:
                self.stdio = self._of_terminal(command.terminal)
            else:
                self.stdio = self._of_pipes(command)
        except BaseException:  # whatever it is, no descriptor is left open
            self.started()
            self.close()
            raise

    def started(self) -> None:
        """The job has its descriptors, or never will."""
        while self._theirs:
            os.close(self._theirs.pop())

    def close(self) -> None:
        """Close our ends."""
        for fd in (self.stdin, self.stdout, self.stderr, self.terminal):
            if fd >= 0:
                os.close(fd)
        self.stdin = self.stdout = self.stderr = self.terminal = -1

    def _of_terminal(self, size: WindowSize) -> tuple[int, int, int]:
        self.terminal, slave = os.openpty()
        self._theirs.append(slave)
        resize(self.terminal, size)
        self.stdin, self.stdout = os.dup(self.terminal), os.dup(self.terminal)
        os.set_blocking(self.stdin, False)  # of the open file: all three
        return slave, slave, slave

    def _of_pipes(self, command: Command) -> tuple[int, int, int]:
        stdin = self._given(command.stdin, 0)
        if stdin < 0:
            stdin, self.stdin = os.pipe()
            self._keep(stdin, self.stdin)
        stdout = self._given(command.stdout, 1)
        if stdout < 0:
            self.stdout, stdout = os.pipe()
            self._keep(stdout, self.stdout)
        stderr = stdout if command.stderr is Stdio.STDOUT else self._given(command.stderr, 2)
        if stderr < 0:
            self.stderr, stderr = os.pipe()
            self._keep(stderr, self.stderr)
        return stdin, stdout, stderr

    def _keep(self, theirs: int, ours: int) -> None:
        self._theirs.append(theirs)
        os.set_blocking(ours, False)

    def _given(self, wanted: Stdio | int | bytes, own: int) -> int:
        """The descriptor that is wanted; -1 if it is a pipe, which has to be made."""
        if isinstance(wanted, int):
            return wanted
        if wanted is Stdio.INHERIT:
            return own
        if wanted is Stdio.PIPE or isinstance(wanted, bytes):
            return -1
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._theirs.append(null)
        return null


def resize(terminal: int, size: WindowSize) -> None:
    """Set a terminal's size, of which its foreground is told by SIGWINCH."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
