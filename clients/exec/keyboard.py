"""A terminal that hands on every key: Ctrl-C goes to the other side, as ssh has it.

What is left to us is ``~.`` at the beginning of a line: it ends the session, if the other
side does not. ``~~`` is one tilde.
"""

from __future__ import annotations

import os
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

from netkit.jobs.messages import SIZE, Terminal

_NAME_AT_MOST = 64


class Keys:
    """What is typed, on its way."""

    def __init__(self) -> None:
        self._at_start, self._tilde = True, False
        self.left = False
        """Whether ``~.`` was typed."""

    def __call__(self, data: bytes) -> bytes:
        """What of the next keys goes to the other side."""
        passed = bytearray()
        for key in data:
            if self._tilde:
                self._tilde = False
                if key == ord("."):
                    self.left = True
                    break
                if key != ord("~"):
                    passed += b"~"
            elif self._at_start and key == ord("~"):
                self._tilde = True
                continue
            passed.append(key)
            self._at_start = key in b"\r\n"
        return bytes(passed)


@contextmanager
def raw(terminal: int | None) -> Iterator[None]:
    """Let a terminal do nothing of its own for the length of the block."""
    if terminal is None or not os.isatty(terminal):
        yield
        return
    before = termios.tcgetattr(terminal)
    tty.setraw(terminal, termios.TCSADRAIN)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def wanted(terminal: int | None) -> Terminal:
    """The terminal to ask for: one like ours."""
    rows, columns = _size(terminal)
    name = os.environ.get("TERM", "")
    plain = name.isascii() and name.replace("-", "a").replace("+", "a").isprintable()
    return Terminal(rows, columns, name if plain and len(name) <= _NAME_AT_MOST else "")


def size(terminal: int | None) -> bytes:
    """The payload of a SIZE frame."""
    return SIZE.pack(*_size(terminal))


def _size(terminal: int | None) -> tuple[int, int]:
    try:
        found = os.get_terminal_size(-1 if terminal is None else terminal)
    except OSError:
        return 24, 80
    return found.lines, found.columns
