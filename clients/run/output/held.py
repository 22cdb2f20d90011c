"""Where a job's output stays until it is shown: files without a name.

The job writes into them by itself; not a byte of it passes through us before it ends, however
much it is and whoever else reads slowly. Nobody else can open them, and they are gone with
the last process that has them open, `kill -9` or not.
"""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from netkit.clients.run.output import copying
from netkit.clients.run.output.copying import Part
from netkit.clients.run.output.failures import OutputError
from netkit.errors import UsageError

NOT_HERE = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL})
"""What a file system says that has no files without a name (NFS)."""

SCARCE = frozenset({errno.EMFILE, errno.ENFILE})
"""No descriptor is left now, but may be when another job has ended."""


def folder() -> str:
    """Where they are made: ``TMPDIR``, or what the system has for that."""
    try:
        return tempfile.gettempdir()
    except FileNotFoundError as error:
        raise UsageError(f"no folder for temporary files: {error.strerror}; set TMPDIR") from None


def nameless(where: str) -> int:
    """A descriptor of a new one, at whose end is written. Raises `OSError`."""
    # To be appended to: after `restart` a job that was started again has no offset of before.
    flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
    try:
        return os.open(where, flags | os.O_TMPFILE, 0o600)
    except OSError as error:
        if error.errno not in NOT_HERE:
            raise
    made, path = tempfile.mkstemp(dir=where)
    try:
        return os.open(path, flags)
    finally:
        os.close(made)
        Path(path).unlink()


def whole(fd: int) -> Part:
    """All that stands in it now."""
    return Part(fd, 0, os.fstat(fd).st_size)


class Pair:
    """A job's standard output and error."""

    def __init__(self, stdout: int, stderr: int) -> None:
        self.stdout, self.stderr = stdout, stderr

    @classmethod
    def nameless(cls, where: str) -> Pair:
        """New ones. Raises `OSError`."""
        stdout = nameless(where)
        try:
            return cls(stdout, nameless(where))
        except OSError:
            os.close(stdout)
            raise

    @property
    def empty(self) -> bool:
        """Whether nothing was written, and not for want of room."""
        silent = not os.fstat(self.stdout).st_size and not os.fstat(self.stderr).st_size
        return silent and os.statvfs(self.stdout).f_bavail > 0

    def restart(self) -> None:
        """Throw away what is there."""
        for fd in (self.stdout, self.stderr):
            if os.fstat(fd).st_size:
                os.ftruncate(fd, 0)

    def close(self) -> None:
        """Close both. May be called twice."""
        for fd in (self.stdout, self.stderr):
            if fd >= 0:
                os.close(fd)
        self.stdout = self.stderr = -1


class Spool:
    """One file for the outputs of many jobs, when there are too many to keep open."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._fd = -1
        self._size = self._parts = 0

    def add(self, part: Part) -> Part:
        """Copy it here; where it is now. Raises `OutputError`."""
        if not part.size:
            return part
        try:
            if self._fd < 0:
                self._fd = nameless(self._where)
            copying.send(part, self._fd)
        except OSError as error:
            raise OutputError(f"{self._where}: {error.strerror}; set TMPDIR to another") from None
        here = Part(self._fd, self._size, part.size)
        self._size += part.size
        self._parts += 1
        return here

    def drop(self, part: Part) -> None:
        """It was shown; when that is true of all of them, their room is given back."""
        if part.size:
            self._parts -= 1
            if not self._parts:
                os.ftruncate(self._fd, 0)
                self._size = 0

    def close(self) -> None:
        """Close it. May be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def check_room(fd: int, where: str | Path, what: str) -> None:
    """Raise `OutputError` if the disk is full: then what a job wrote there may not be all.

    The job itself was told, but need not have told us.
    """
    disk = os.statvfs(fd)
    free = disk.f_bfree if os.geteuid() == 0 else disk.f_bavail
    if disk.f_blocks and not free:
        raise OutputError(f"{where}: no space left, output of {what} may be incomplete")
