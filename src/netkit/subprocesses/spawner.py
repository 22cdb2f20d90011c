"""A small process that starts others: the program of a spawn helper, run as a file.

Nothing of netkit is imported, and no more of Python than it needs: the smaller it is, the
cheaper is each child, and it has one thread, so that it may fork. What it is told comes
over a Unix socket, its standard input, with the child's descriptors beside it (SCM_RIGHTS);
what became of each goes back the same way. A frame is four bytes of length, little-endian,
and a `marshal`led tuple: both ends are the same Python, and nobody else holds the socket.

To here::

    (job, path, words, env, cwd, umask, terminal, rest)   with three descriptors: start it
    (job, number)                                         send the signal to its group
    (job,)                                                kill what is left when it ends

From here::

    (job, pid)                       it runs
    (job, errno, words)              it was not started; `words`: what could not be done
    (job, status, user, system, rss, left)
                                     it ended; seconds of CPU, KiB, whether others of its
                                     group live

When the socket ends, whoever started us is gone: what still runs gets TERM, then KILL.
"""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import marshal
import os
import select
import signal
import socket
import struct
import termios
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # each module that is not read is a millisecond less
    from collections.abc import Iterator, Mapping

GRACE = 2.0
"""Seconds from TERM to KILL for jobs whose netkit is gone."""

RESTORED = (signal.SIGPIPE, signal.SIGXFSZ)
"""What Python ignores, and programs do not expect to be ignored."""

LENGTH = struct.Struct("<I")
STDIO = 3
READ = 1 << 18


class Spawner:
    """Starts, signals and reaps."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._heard = bytearray()
        self._passed: list[int] = []
        self._replies: list[bytes] = []
        self._pids: dict[int, int] = {}
        self._jobs: dict[int, int] = {}
        self._swept: set[int] = set()

    def run(self) -> None:
        """Serve until the socket ends."""
        deaths, bell = os.pipe()
        os.set_blocking(deaths, False)
        os.set_blocking(bell, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(bell, warn_on_full_buffer=False)
        waits = select.poll()
        waits.register(self._link.fileno(), select.POLLIN)
        waits.register(deaths, select.POLLIN)
        while True:
            ready = [fd for fd, _ in waits.poll()]
            if deaths in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(deaths, READ)
            if self._link.fileno() in ready and not self._receive():
                return self._bury(deaths)
            # Between two starts too: who waits for an end should not wait for all starts.
            self._reap()
            if self._replies:
                self._link.sendall(b"".join(self._replies))
                self._replies.clear()

    def _receive(self) -> bool:
        rights = socket.CMSG_SPACE(STDIO * array.array("i").itemsize)
        data, ancillary, _, _ = self._link.recvmsg(READ, rights, socket.MSG_CMSG_CLOEXEC)
        for _, _, content in ancillary:
            self._passed += array.array("i", content)
        self._heard += data
        while len(self._heard) >= LENGTH.size:
            end = LENGTH.size + LENGTH.unpack_from(self._heard)[0]
            if len(self._heard) < end:
                break
            self._obey(*marshal.loads(self._heard[LENGTH.size : end]))  # noqa: S302  # from netkit
            del self._heard[:end]
        return bool(data)

    def _obey(self, job: int, *order: object) -> None:
        if not order:
            self._swept.add(job)
        elif len(order) == 1:
            if pid := self._pids.get(job):
                _signal(pid, order[0])  # type: ignore[arg-type]  # as the frame says
        else:
            stdio, self._passed = self._passed[:STDIO], self._passed[STDIO:]
            try:
                if len(stdio) < STDIO:  # MSG_CTRUNC
                    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
                pid = _start(stdio, *order)  # type: ignore[arg-type]  # as the frame says
            except (OSError, ValueError) as error:  # ValueError: a NUL, or text that is no Unicode
                code = getattr(error, "errno", None) or 0
                self._reply(job, code, getattr(error, "strerror", None) or str(error))
            else:
                self._pids[job], self._jobs[pid] = pid, job
                self._reply(job, pid)
            finally:
                for fd in stdio:
                    os.close(fd)

    def _reap(self) -> None:
        while self._jobs:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if not ended:
                return
            job = self._jobs.pop(ended.si_pid)
            if job in self._swept:  # before it is reaped: then its number may be another's
                self._swept.discard(job)
                _signal(ended.si_pid, signal.SIGKILL)
            del self._pids[job]
            _, status, usage = os.wait4(ended.si_pid, 0)
            code = os.waitstatus_to_exitcode(status)
            left = _signal(ended.si_pid, 0)
            self._reply(job, code, usage.ru_utime, usage.ru_stime, usage.ru_maxrss, left)

    def _reply(self, *what: int | float | str) -> None:
        frame = marshal.dumps(what)
        self._replies.append(LENGTH.pack(len(frame)) + frame)

    def _bury(self, deaths: int) -> None:
        for pid in self._jobs:
            _signal(pid, signal.SIGTERM)
            _signal(pid, signal.SIGCONT)
        over = time.monotonic() + GRACE
        while self._jobs and (left := over - time.monotonic()) > 0:
            if select.select([deaths], [], [], left)[0]:
                os.read(deaths, READ)
            self._reap()
        for pid in self._jobs:
            _signal(pid, signal.SIGKILL)


def _signal(group: int, number: int) -> bool:
    """Send a signal; False if nobody is left in the group, or nobody whom we may signal."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _start(
    stdio: list[int],
    path: str,
    words: tuple[str, ...],
    env: dict[str, str] | None,
    cwd: str | None,
    umask: int | None,
    terminal: str | None,
    rest: tuple[object, ...] | None,
) -> int:
    # Folder and mask are the process's: ours are changed for the moment, since we do one
    # thing at a time.
    here = os.open(".", os.O_RDONLY | os.O_DIRECTORY) if cwd is not None else -1
    mask = os.umask(umask) if umask is not None else None
    try:
        if cwd is not None:
            os.chdir(cwd)
        surroundings: Mapping[str, str] = os.environ if env is None else env
        if rest is not None:
            return _fork(stdio, path, words, surroundings, terminal, *rest)
        if terminal is None:
            return os.posix_spawn(
                path,
                words,
                surroundings,
                file_actions=[(os.POSIX_SPAWN_DUP2, fd, to) for to, fd in enumerate(stdio)],
                setpgroup=0,
                setsigmask=(),
                setsigdef=RESTORED,
            )
        # The first terminal that the leader of a session opens becomes its own.
        return os.posix_spawn(
            path,
            words,
            surroundings,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, terminal, os.O_RDWR, 0),
                (os.POSIX_SPAWN_DUP2, 0, 1),
                (os.POSIX_SPAWN_DUP2, 0, 2),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=RESTORED,
        )
    finally:
        if mask is not None:
            os.umask(mask)
        if here >= 0:
            os.fchdir(here)
            os.close(here)


def _fork(
    stdio: list[int],
    path: str,
    words: tuple[str, ...],
    env: Mapping[str, str],
    terminal: str | None,
    *rest: object,
) -> int:
    """What posix_spawn cannot do is done in the child; why it failed comes through a pipe."""
    told, tell = os.pipe()
    if pid := os.fork():
        os.close(tell)
        with os.fdopen(told, "rb") as pipe:
            why = pipe.read()
        if why:
            os.waitpid(pid, 0)
            number, _, words_ = why.decode(errors="replace").partition(" ")
            raise OSError(int(number), words_)
        return pid
    doing = ""
    try:
        if terminal is None:
            os.setpgid(0, 0)
        else:
            os.setsid()
            fcntl.ioctl(stdio[0], termios.TIOCSCTTY, 0)
        for to, fd in enumerate(stdio):
            os.dup2(fd, to)
        for step in _surround(*rest):  # type: ignore[arg-type]  # as the frame says
            doing = step  # what comes next: should it fail, this is what it was
        doing = ""
        for ignored in RESTORED:
            signal.signal(ignored, signal.SIG_DFL)
        os.execve(path, words, env)  # noqa: S606  # that is the purpose
    except BaseException as error:  # whatever it is, this copy of us ends here
        code = getattr(error, "errno", None) or 0
        text = getattr(error, "strerror", None) or str(error)
        os.write(tell, f"{code} {doing}{text}".encode())
    os._exit(127)


def _surround(
    nice: int | None,
    cpus: tuple[int, ...],
    limits: tuple[tuple[int, int, int], ...],
    user: str | None,
    cgroup: str | None,
) -> Iterator[str]:
    """Each step says what it will do, then does it."""
    import resource

    if cgroup is not None:
        yield f"cgroup {cgroup}: "
        procs = os.open(f"{cgroup}/cgroup.procs", os.O_WRONLY)
        os.write(procs, b"0")
    if cpus:
        yield "CPU affinity: "
        os.sched_setaffinity(0, cpus)
    if nice is not None:
        yield f"nice {nice}: "
        os.nice(nice)
    if user is not None:
        yield f"user {user}: "
        import pwd

        known = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
        os.initgroups(known.pw_name, known.pw_gid)
        os.setgid(known.pw_gid)
        os.setuid(known.pw_uid)
    for which, soft, hard in limits:  # last: fewer descriptors or processes are felt at once
        yield "resource limits: "
        resource.setrlimit(which, (soft, hard))


if __name__ == "__main__":
    # uvloop hands on what is inheritable; whoever made it so did not mean our children.
    os.closerange(3, 1 << 16)
    Spawner(socket.socket(fileno=os.dup(0))).run()
