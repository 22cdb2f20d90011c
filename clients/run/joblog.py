r"""The joblog: a line for each job that has ended, as GNU parallel writes and reads it.

::

    Seq  Host  Starttime       JobRuntime  Send  Receive  Exitval  Signal  Command
    1    :     1767225600.250       0.012  0     6        0        0       echo a

Separated by tabs: the job's place among all rows, where it ran (``:`` is here), seconds of
Unix time, seconds, bytes sent to another machine, bytes of standard output, exit status,
signal, and the command, in which a newline is a NUL. A timeout has exit status -1.

A line is one write(2) at the end of the file, when the job has ended and its output was
handed on. So what is there is true whenever we are killed, and `--resume` loses no output.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from typing import BinaryIO, Literal, Self, TypeAlias

from netkit.clients.run.output.failures import OutputError
from netkit.clients.run.output.work import Work
from netkit.errors import UsageError
from netkit.subprocesses.events import End, Ended

Resume: TypeAlias = Literal["", "all", "failed"]
"""Skip nothing; what is in it; what has succeeded."""

HEADER = b"Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n"
LINE = re.compile(rb"(\d{1,18})\t[^\t]+(?:\t *[-\d.]+){4}\t(-?\d+)\t(-?\d+)\t")
LONGEST = 4 * 1024 * 1024
"""Bytes of a line: twice as many as Linux takes for a command."""


class Joblog:
    """An open joblog; the caller closes it."""

    def __init__(self, path: str, fd: int, done: frozenset[int] = frozenset()) -> None:
        self._path, self._fd, self._done = path, fd, done

    @classmethod
    def open(cls, path: str, resume: Resume = "") -> Self:
        """Open it to be written, anew or, to `resume` or if it is ``+FILE``, behind what it has.

        Raises `UsageError` if it cannot be read or written, or is no joblog.
        """
        append = path.startswith("+") or bool(resume)
        path = path.removeprefix("+")
        try:
            flags = os.O_RDWR if append else os.O_WRONLY | os.O_TRUNC
            fd = os.open(path, flags | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                done = _read(fd, path, resume) if append else frozenset[int]()
                log = cls(path, fd, done)
                if not stat.S_ISREG(os.fstat(fd).st_mode) or not os.fstat(fd).st_size:
                    log._write(HEADER)
            except BaseException:  # whatever it is, no descriptor is left open
                os.close(fd)
                raise
        except OSError as error:
            raise UsageError(f"--joblog {path}: {error.strerror}") from None
        return log

    def has(self, number: int) -> bool:
        """Whether job `number` is to be skipped."""
        return number in self._done

    def add(self, work: Work, ended: Ended, host: str, received: int) -> None:
        """Write a job's line; may block. Raises `OutputError`."""
        end = ended.end
        status, signal = _codes(end)
        command = os.fsencode(work.line).replace(b"\n", b"\0")
        start = ended.time - end.seconds
        line = f"{work.number}\t{host}\t{start:.3f}\t{end.seconds:10.3f}\t0\t{received}"
        try:
            self._write(f"{line}\t{status}\t{signal}\t".encode() + command + b"\n")
        except OSError as error:
            raise OutputError(f"--joblog {self._path}: {error.strerror}") from None

    def close(self) -> None:
        """Close it. May be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _write(self, line: bytes) -> None:
        written = os.write(self._fd, line)
        if written < len(line):  # the disk is full: no line rather than a piece of one
            os.ftruncate(self._fd, os.fstat(self._fd).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _codes(end: End) -> tuple[int, int]:
    """Exitval and Signal, as GNU parallel has them."""
    signal = end.signal or 0
    if end.reason == "not started":
        return 127, 0
    if end.reason in ("timeout", "lost"):
        return -1, signal
    return end.status or 0, signal


def _read(fd: int, path: str, resume: Resume) -> frozenset[int]:
    """The jobs that are to be skipped. A last line without its end is cut off."""
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise UsageError(f"--joblog {path}: only a file can be read and added to")
    done: set[int] = set()
    whole = 0
    with os.fdopen(os.dup(fd), "rb") as file:
        for number, line in enumerate(_lines(file), 1):
            if not line.endswith(b"\n"):
                _check_torn(line, number, path)
                os.ftruncate(fd, whole)  # its job is run again
                break
            whole += len(line)
            found = LINE.match(line)
            if number == 1 and line.startswith(b"Seq\tHost\t"):
                continue
            if not found:
                raise UsageError(f"--joblog {path}: line {number} is not a joblog's; mend it")
            if resume == "all" or (resume and found[2] == found[3] == b"0"):
                done.add(int(found[1]))
    return frozenset(done)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(LONGEST):
        yield line


def _check_torn(line: bytes, number: int, path: str) -> None:
    """Nothing is cut from a file that is no joblog."""
    if not (HEADER.startswith(line) if number == 1 else line[:1].isdigit()):
        raise UsageError(f"--joblog {path}: line {number} is not a joblog's; mend it")
