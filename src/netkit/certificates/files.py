"""Keys and certificates on disk: made private, replaced atomically, made once.

A key file is never readable by others, not even while it is being written. A
reader sees the old file or the new one, never half of one.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netkit.errors import CertificateError

PRIVATE = 0o600
PUBLIC = 0o644
_LOCK_SECONDS = 10.0  # making a CA takes milliseconds; whoever holds it longer is stopped


def make_folder(folder: Path) -> None:
    """Make the folder, for its owner alone; one that exists keeps its mode."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CertificateError(
            f"{folder}: cannot make the folder for certificates ({error.strerror});"
            " set NETKIT_CERTS to one that you can write"
        ) from error


def write(path: Path, content: bytes, mode: int) -> None:
    """Write or replace a file at once; it has `mode` from its first moment."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except BaseException:  # Ctrl-C too: no draft is left behind
            draft.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise CertificateError(
            f"{path}: cannot be written ({error.strerror}); check the folder's owner and space,"
            " or set NETKIT_CERTS to another one"
        ) from error


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which ends with the process that has it.

    Raises CertificateError if another process keeps it for more than ten seconds.
    """
    path = folder / ".lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
    except OSError as error:
        raise CertificateError(
            f"{path}: cannot be opened ({error.strerror}); check the folder's owner,"
            " or set NETKIT_CERTS to another one"
        ) from error
    try:
        _lock(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise CertificateError(
                    f"{path}: another process has held this lock for {_LOCK_SECONDS:.0f} seconds;"
                    " end it and try again"
                ) from None
        time.sleep(0.02)  # flock has no timeout of its own


def read(path: Path) -> bytes:
    """Read a file whole, at most 1 MiB. Raises CertificateError naming it."""
    try:
        with path.open("rb") as file:
            return file.read(1 << 20)  # the largest CA bundles in use are a quarter of this
    except FileNotFoundError as error:
        raise CertificateError(f"{path}: there is no such file; check the path") from error
    except OSError as error:
        raise CertificateError(
            f"{path}: cannot be read ({error.strerror}); check its owner and mode"
        ) from error
