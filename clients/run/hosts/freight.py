"""Files to a host and back, over SFTP.

Each has another name until it is whole, on both sides, and then takes the place of what was
there in one step: nobody reads half a file, and a connection that is lost leaves none. Only
regular files: what a host names otherwise cannot make us write anywhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import posixpath
import secrets
import stat
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import asyncssh

from netkit.clients.run.hosts.places import Place

PREFIX = ".netkit-"


class FreightError(Exception):
    """A file did not arrive: one line on which and why."""


class WreckedError(FreightError):
    """It did not, since the connection was lost."""


LOST = (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection)


class Freight:
    """The files of one host. `folder` is where relative paths begin there."""

    def __init__(self, client: asyncssh.SFTPClient, folder: str) -> None:
        self._client, self._folder = client, os.fsencode(folder)
        self._made: list[bytes] = []
        """Folders that were not there before."""
        self._users: Counter[bytes] = Counter()
        """Jobs that have a file, since a file may be several jobs'."""
        self._making = asyncio.Lock()

    def claim(self, place: Place) -> None:
        """A job needs it there."""
        self._users[self._there(place)] += 1

    def disclaim(self, place: Place) -> None:
        """It needs it no more."""
        self._users[self._there(place)] -= 1

    async def send(self, place: Place) -> None:
        """Send a file, over what may be there. Raises `FreightError`."""
        there = self._there(place)
        part = there + (PREFIX + secrets.token_hex(8)).encode()
        async with _explained(place.here):
            mode = _mode(_permissions(place.here))
            async with self._making:  # two that make the same folder would both fail
                await self._make(posixpath.dirname(there))
            try:
                await self._client.put(os.fsencode(place.here), part)
                await self._client.chmod(part, mode)
                await self._client.posix_rename(part, there)
            except BaseException:  # a cancellation too
                with contextlib.suppress(asyncssh.Error, OSError):
                    await self._client.remove(part)
                raise

    async def bring(self, place: Place) -> None:
        """Bring a file back, over what may be here. Raises `FreightError`."""
        async with _explained(f"{place.there}: not brought back"):
            mode = _mode((await self._client.stat(self._there(place))).permissions or 0)
            with _part(place.here, mode) as part:
                await self._client.get(self._there(place), part)

    async def remove(self, place: Place) -> None:
        """Remove it there, if no job needs it any more."""
        there = self._there(place)
        if self._users[there] > 0:
            return
        del self._users[there]
        with contextlib.suppress(asyncssh.Error, OSError):
            await self._client.remove(there)

    async def tidy(self) -> None:
        """Remove the folders that we made and that are empty."""
        for folder in reversed(self._made):
            with contextlib.suppress(asyncssh.Error, OSError):
                await self._client.rmdir(folder)

    def _there(self, place: Place) -> bytes:
        return posixpath.join(self._folder, os.fsencode(place.there))

    async def _make(self, folder: bytes) -> None:
        if not folder or await self._client.isdir(folder):
            return
        await self._make(posixpath.dirname(folder))
        await self._client.mkdir(folder)
        if folder not in self._made:
            self._made.append(folder)


def _mode(mode: int) -> int:
    """What a file may be used for. Raises `OSError` if it is none."""
    if stat.S_ISDIR(mode):
        raise IsADirectoryError("it is a folder; name the files in it")
    if not stat.S_ISREG(mode):
        raise OSError("it is no regular file")
    return mode & 0o777


def _permissions(path: str) -> int:
    return os.stat(path).st_mode  # noqa: PTH116  # a str may hold what is no text


@contextmanager
def _part(here: str, mode: int) -> Iterator[str]:
    """A new file beside `here`, which takes its place at the end, with this mode less our umask."""
    folder, name = os.path.split(here)
    os.makedirs(folder or ".", exist_ok=True)  # noqa: PTH103  # as above
    part = os.path.join(folder, f".{name}{PREFIX}{secrets.token_hex(8)}")  # noqa: PTH118  # as above
    fd = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode | stat.S_IWUSR)
    try:
        yield part
        os.fchmod(fd, os.fstat(fd).st_mode & mode)
        os.replace(part, here)  # noqa: PTH105  # as above
    except BaseException:  # a cancellation too
        os.unlink(part)  # noqa: PTH108  # as above
        raise
    finally:
        os.close(fd)


@asynccontextmanager
async def _explained(what: str) -> AsyncIterator[None]:
    try:
        yield
    except ConnectionError as error:  # nothing here: asyncssh hands on why it lost the host
        raise WreckedError(f"{what}: {error.strerror or error}") from None
    except asyncssh.Error as error:
        lost = isinstance(error, LOST) or not isinstance(error, asyncssh.SFTPError)
        kind = WreckedError if lost else FreightError
        raise kind(f"{what}: {error.reason}") from None
    except OSError as error:
        raise FreightError(f"{what}: {error.strerror or error}") from None
