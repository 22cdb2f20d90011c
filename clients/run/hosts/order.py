"""What a host's shell is told to do, and what it answers.

sshd has the user's login shell run one line, whichever shell that is. Ours has nothing in it
that any of them would change, and is always the same: a POSIX shell that reads one line of
its standard input and obeys it. So no word of a command is seen by the login shell, and none
is cut at the 128 KiB that a single word may have.

What it obeys, in this order:

1. It goes to the folder, sets variables, umask and niceness, and looks for the program.
2. It leaves a guard behind, which reads our orders from the session's standard input: a
   signal's name a line, which it sends to the process group. The guard is in that group
   itself, so that the group's number is no other's as long as there may be orders.
3. It answers on both streams, with a word that only we know: what a login shell says before
   is not the job's output.
4. It becomes the job. So sshd itself tells how that ended.

The end of the session's input means that the job has ended, or that we or the connection have.
In the first case the guard kills what is left of the group, in the second it ends the group,
by TERM and then KILL. Whoever became a daemon, with a session of its own, is not in it.
"""

from __future__ import annotations

import math
import re
import shlex
import signal
from dataclasses import dataclass
from typing import Literal

from netkit.subprocesses.command import Command, NotStartedError, Stdio

# `kill -s 0 -- -$$`: is there a group with our number? Then it is ours. OpenSSH makes one for
# each session; where none is made, "kill 0" would be felt by the server's own process.
LOGIN = (
    'exec /bin/sh -c \'kill -s 0 -- -$$ 2>/dev/null || exec setsid /bin/sh -c "$0"; eval "$0"\''
    " 'IFS= read -r netkit && eval \"$netkit\"'"
)
"""The line for the login shell: no newline, backslash or exclamation mark."""

HEEDED = ("HUP", "INT", "QUIT", "PIPE", "ALRM", "TERM", "USR1", "USR2", "TSTP", "TTIN", "TTOU")
"""Signals that the guard outlives."""
SENT = frozenset({*HEEDED, "CONT", "KILL"})

NOISE = 64 * 1024
"""Bytes that a login shell may say before its answer."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Setting:
    """What an order needs beside the command."""

    token: str
    """Nobody's but ours."""
    folder: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    grace: float = 5.0


def order(command: Command, setting: Setting) -> bytes:
    """The line that a host's shell obeys. Raises `NotStartedError` for what no host can do."""
    check(command)
    around = command.surroundings
    folder = str(around.cwd) if around.cwd else setting.folder
    steps = ["netkit_n=$(printf '\\n.'); netkit_n=${netkit_n%.}"]
    if folder:
        there = _quoted(folder)
        steps += [f"mkdir -p -- {there} && cd -- {there} || {_answer(setting, 'no folder')}"]
    steps += [f"export {name}={_quoted(value)}" for name, value in setting.environment]
    if around.umask is not None:
        steps += [f"umask {around.umask:03o}"]
    steps += [
        f"command -v -- {_quoted(command.words[0])} >/dev/null || {_answer(setting, 'missing')}",
        _guard(setting),
        f"printf '%s %s\\n' {setting.token} $$",
        f"printf '%s %s\\n' {setting.token} $$ >&2",
        _become(command),
    ]
    return "; ".join(steps).encode(errors="surrogateescape") + b"\n"


def kill(group: int) -> bytes:
    """The line that kills a process group which its guard does not end."""
    return f"kill -s KILL -- -{group}; exit\n".encode()


def check(command: Command) -> None:
    """Raise `NotStartedError` for what no host can do, or no machine."""
    words, around = command.words, command.surroundings
    if not words or not words[0]:
        raise NotStartedError("no command is given")
    if any("\0" in word for word in words):
        raise NotStartedError(f"{words[0]}: a word holds a NUL, which no program can get")
    if command.terminal or command.stdin is not Stdio.NULL:
        raise NotStartedError(f"{words[0]}: on another machine it has no terminal and no input")
    if around.limits or around.cpus or around.user or around.cgroup:
        raise NotStartedError(
            f"{words[0]}: limits, CPUs, user and cgroup cannot be set on another machine"
        )


def environment(values: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """Variables for a `Setting`. Raises `NotStartedError` for a name that a shell has not."""
    for name in values:
        if not _NAME.fullmatch(name):
            raise NotStartedError(f"--env {name}: a shell knows no variable of that name")
    return tuple(values.items())


def signal_name(number: int) -> str:
    """What the guard is told; empty if it cannot be sent."""
    try:
        name = signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        return ""
    return name if name in SENT else ""


def signal_number(name: str) -> int | None:
    """Of the one that sshd says ended a session; it has names for those of RFC 4254 alone."""
    found = getattr(signal, f"SIG{name}", None)
    return int(found) if isinstance(found, signal.Signals) else None


Stream = Literal["stdout", "stderr"]


class Prologue:
    """What comes before the job's own bytes on a stream: noise, then the answer."""

    def __init__(self, token: str) -> None:
        self._token = token.encode() + b" "
        self._heard = bytearray()
        self.answer: str | None = None
        """A pid, or what is wrong; None until it is there."""

    @property
    def noise(self) -> str:
        """What was heard so far that is no answer, the last line of it."""
        lines = self._heard.decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    @property
    def hopeless(self) -> bool:
        """Whether it is too much to be noise."""
        return self.answer is None and len(self._heard) > NOISE

    def feed(self, data: bytes) -> bytes:
        """What of it is the job's."""
        if self.answer is not None:
            return data
        self._heard += data
        start = self._heard.find(self._token)
        end = self._heard.find(b"\n", start)
        if start < 0 or end < 0:
            return b""
        self.answer = self._heard[start + len(self._token) : end].decode(errors="replace")
        rest = bytes(self._heard[end + 1 :])
        del self._heard[start:]
        return rest


def _answer(setting: Setting, what: str) -> str:
    return f"{{ printf '%s %s\\n' {setting.token} {_quoted(what)}; exit 127; }}"


def _guard(setting: Setting) -> str:
    # Ignored from before the fork, so that a job that signals its own group at once does not
    # end it. Twice in brackets: the job is to have no child that it did not start. By way of
    # descriptor 3: a shell gives what it starts with & an empty standard input.
    heeded = " ".join(HEEDED)
    grace = max(1, math.ceil(setting.grace))
    obey = 'while read -r netkit; do kill -s "$netkit" 0; done'
    over = "kill -s 0 $$ || kill -s KILL 0"
    end = f"kill -s TERM 0; kill -s CONT 0; sleep {grace}; kill -s KILL 0"
    return (
        f"exec 3<&0; trap '' {heeded}; "
        f"( ( {obey}; {over}; {end} ) <&3 3<&- >/dev/null 2>&1 & ); "
        f"trap - {heeded}"
    )


def _become(command: Command) -> str:
    around = command.surroundings
    before = []
    if around.nice:
        before += ["nice", "-n", str(around.nice)]
    if around.env is not None:
        if "=" in command.words[0]:
            raise NotStartedError(f"{command.words[0]}: env(1) takes it for a variable")
        before += ["env", "-i", *(f"{name}={value}" for name, value in around.env.items())]
    merged = " 2>&1" if command.stderr is Stdio.STDOUT else ""
    words = " ".join(map(_quoted, [*before, *command.words]))
    return f"exec {words} </dev/null 3<&-{merged}"


def _quoted(word: str) -> str:
    # A line has no newline in it, so that of a word is a variable's.
    return shlex.quote(word).replace("\n", "'\"$netkit_n\"'")
