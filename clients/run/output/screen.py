"""Standard output and error, and the line of progress below them.

Every call here may block, so all come from one thread: what is written to a terminal that
both may share does not mix.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal, TypeAlias

from netkit.clients.run.output import copying
from netkit.clients.run.output.copying import Part
from netkit.clients.run.output.failures import OutputError
from netkit.clients.run.output.tagging import Tagger
from netkit.stdio import OutputClosedError

Stream: TypeAlias = Literal["stdout", "stderr"]

NAMES = {"stdout": "standard output", "stderr": "standard error"}
ERASE = b"\r\x1b[K"


class Screen:
    """Both, as descriptors that stay open; None: closed, and nothing is written there."""

    def __init__(self, stdout: int | None, stderr: int | None) -> None:
        self._fds = {"stdout": stdout, "stderr": stderr}
        self._terminals = {name: fd is not None and os.isatty(fd) for name, fd in self._fds.items()}
        self._line = b""
        self._drawn = False
        self._fresh = True
        """Whether the terminal's cursor is at the beginning of a line."""

    def is_terminal(self, stream: Stream) -> bool:
        """Whether a person may be looking at it."""
        return self._terminals[stream]

    def is_coloured(self, stream: Stream) -> bool:
        """Whether it shows colours, and they are wanted (https://no-color.org)."""
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        return self._terminals[stream] and not plain

    def write(self, stream: Stream, pieces: list[bytes | memoryview]) -> None:
        """Write these. Raises `OutputClosedError`, `OutputError`."""
        fd = self._fds[stream]
        if fd is None or not pieces:
            return
        with _explained(stream):
            copying.write(fd, pieces)
        if self._terminals[stream]:
            self._fresh = bytes(pieces[-1][-1:]) == b"\n"

    def copy(self, stream: Stream, part: Part, tag: bytes = b"") -> None:
        """Write what stands in a file, `tag` before each line. Raises as `write` does."""
        fd = self._fds[stream]
        if fd is None or not part.size:
            return
        if tag:
            tagger = Tagger(tag)
            for data in copying.chunks(part):
                self.write(stream, tagger(data))
            return
        with _explained(stream):
            copying.send(part, fd)
        if self._terminals[stream]:
            self._fresh = os.pread(part.fd, 1, part.offset + part.size - 1) == b"\n"

    def keep(self, line: bytes) -> None:
        """Have this as the last line of the terminal from the next `draw` on; empty: none."""
        self._line = line

    def erase(self) -> None:
        """Take the last line away."""
        if self._drawn:
            self._drawn = False
            self._put(ERASE)

    def draw(self) -> None:
        """Show it again."""
        if self._line:
            self._drawn = True
            self._put(self._line if self._fresh else b"\n" + self._line)
            self._fresh = True

    def width(self) -> int:
        """Columns of the terminal."""
        fd = self._fds["stderr"]
        with suppress(OSError):
            if fd is not None:
                return os.get_terminal_size(fd).columns
        return 80

    def _put(self, data: bytes) -> None:
        fd = self._fds["stderr"]
        with suppress(OSError):  # it is not worth ending the run
            if fd is not None:
                copying.write(fd, [data])


@contextmanager
def _explained(stream: Stream) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise OutputClosedError from None
    except OSError as error:
        raise OutputError(f"{NAMES[stream]} cannot be written: {error.strerror}") from None
