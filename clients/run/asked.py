"""Settings from flags. Each function raises `UsageError`, which names the flag."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from netkit.clients.run.flags import Arguments, Each, Elsewhere, Output, Pacing
from netkit.clients.run.gates import Pace
from netkit.clients.run.halt import policy
from netkit.clients.run.hosts.address import addresses
from netkit.clients.run.hosts.places import place
from netkit.clients.run.hosts.settings import Login, Machines
from netkit.clients.run.joblog import Resume
from netkit.clients.run.output.form import Form, Mode
from netkit.clients.run.quantities import jobs, per_cpu, seconds, size
from netkit.clients.run.rows import Asked
from netkit.clients.run.settings import Jobs, Logged, Wishes
from netkit.clients.run.sources import Reading
from netkit.clients.run.words import split
from netkit.errors import UsageError
from netkit.subprocesses.command import Surroundings
from netkit.subprocesses.retries import NONE, Retries

ESCAPES = {"n": b"\n", "t": b"\t", "r": b"\r", "0": b"\0", "\\": b"\\"}
_ESCAPED = re.compile(r"\\(?:x([0-9a-fA-F]{2})|([0-3][0-7]{2})|(.))", re.DOTALL)

NOWHERE = Elsewhere()
FILES = ("transfer", "bring", "base", "cleanup", "ssh_config", "identity")

LEAST_LOAD = 0.01
"""What ``--load 0`` is, as GNU parallel has it."""


def wishes(
    words: Sequence[str],
    arguments: Arguments,
    pacing: Pacing,
    each: Each,
    output: Output,
    elsewhere: Elsewhere = NOWHERE,
) -> Wishes:
    """All of it. `words` are the command and its arguments."""
    command, sources = split(words, arguments.arg_file)
    machines = _machines(elsewhere, pacing, each)
    asked = Asked(tuple(sources), _reading(arguments), arguments.link, _most(arguments))
    repeated = arguments.max_replace_args is not None
    return Wishes(
        _jobs(command, each, repeated=repeated, here=machines is None),
        asked,
        _pace(pacing, machines),
        policy(pacing.halt),
        _form(output),
        _logged(pacing, output),
        machines,
        resume_results=pacing.resume and not pacing.joblog,
    )


def _reading(flags: Arguments) -> Reading:
    if flags.null and flags.delimiter is not None:
        raise UsageError("--null --delimiter: give one of them")
    if flags.header not in (None, ":"):
        raise UsageError(f"--header {flags.header}: give : for the first row of each source")
    header, blanks, colsep = flags.header is not None, not flags.no_run_if_empty, flags.colsep
    end = b"\0" if flags.null else b"\n"
    if flags.delimiter is not None:
        end = _unescaped(flags.delimiter, "--delimiter")
    if flags.csv:
        comma = "," if colsep is None else os.fsdecode(_unescaped(colsep, "--colsep"))
        if len(comma) != 1 or comma in '"\r\n\0':
            raise UsageError(f"--colsep {colsep}: with --csv give one character")
        return Reading(end, None, comma, header, blanks)
    if colsep is None and header:
        colsep = r"\t"
    return Reading(end, _pattern(colsep) if colsep is not None else None, "", header, blanks)


def _most(flags: Arguments) -> int | None:
    most = flags.max_args if flags.max_replace_args is None else flags.max_replace_args
    if None not in (flags.max_args, flags.max_replace_args):
        raise UsageError("--max-args --max-replace-args: give one of them")
    if most is not None and most < 0:
        raise UsageError(f"--max-args {most}: give 0 or more")
    return most


def _machines(flags: Elsewhere, pacing: Pacing, each: Each) -> Machines | None:
    if not flags.host and not flags.hosts:
        if given := [name for name in FILES if getattr(flags, name)]:
            raise UsageError(f"--{given[0].replace('bring', 'return')}: give --host HOST too")
        return None
    at_a_time = pacing.jobs or "1"
    if not at_a_time.isdecimal() or not int(at_a_time):
        raise UsageError(f"--jobs {at_a_time}: for other machines give a number above 0")
    return Machines(
        addresses(flags.host, map(Path, flags.hosts)),
        int(at_a_time),
        Login(flags.ssh_config, tuple(map(Path, flags.identity))),
        _named(each.env),
        "" if each.cwd is None else str(each.cwd),
        seconds(each.grace, "--grace"),
        flags.transfer,
        flags.bring,
        tuple(map(place, flags.base)),
        flags.cleanup,
    )


def _jobs(command: tuple[str, ...], flags: Each, *, repeated: bool, here: bool) -> Jobs:
    if here and flags.cwd and not flags.cwd.is_dir():
        raise UsageError(f"--cwd {flags.cwd}: there is no such folder")
    around = Surroundings(cwd=flags.cwd, env=_environment(flags), nice=flags.nice)
    if not here:  # variables are added there, to what the host has
        around = Surroundings(env=_named(flags.env) if flags.clean_env else None, nice=flags.nice)
    return Jobs(
        command,
        flags.shell,
        repeated,
        around,
        None if flags.timeout is None else seconds(flags.timeout, "--timeout"),
        seconds(flags.grace, "--grace"),
        _retries(flags),
    )


def _retries(flags: Each) -> Retries:
    times, on = flags.retries, flags.retry_on
    if times is None:
        if on is not None:
            raise UsageError(f"--retry-on {on}: give --retries N too")
        return NONE
    if times < 1:
        raise UsageError(f"--retries {times}: give how often a job is tried, 1 or more")
    codes = None if on is None else _codes(on)
    return Retries(times - 1, codes, seconds(flags.retry_delay, "--retry-delay"))


def _codes(text: str) -> frozenset[int]:
    codes = text.split(",")
    if not all(re.fullmatch(r"\d{1,3}", code) and int(code) < 256 for code in codes):
        raise UsageError(f"--retry-on {text}: give exit codes from 0 to 255, such as 75,111")
    return frozenset(map(int, codes))


def _environment(flags: Each) -> Mapping[str, str] | None:
    if not flags.env and not flags.clean_env:
        return None
    return {**({} if flags.clean_env else os.environ), **_named(flags.env)}


def _named(variables: Sequence[str]) -> dict[str, str]:
    made = {}
    for each in variables:
        name, equals, value = each.partition("=")
        if not name or (not equals and name not in os.environ):
            raise UsageError(f"--env {each}: it is not set; give one that is, or NAME=VALUE")
        made[name] = value if equals else os.environ[name]
    return made


def _pace(flags: Pacing, machines: Machines | None) -> Pace:
    return Pace(
        jobs(flags.jobs or "100%") if machines is None else machines.limit,
        seconds(flags.delay, "--delay"),
        None if flags.load is None else max(per_cpu(flags.load, "--load"), LEAST_LOAD),
        None if flags.memfree is None else size(flags.memfree, "--memfree"),
    )


def _form(flags: Output) -> Form:
    if flags.as_json and flags.line_buffer:
        raise UsageError("--json --line-buffer: events come as they are; leave one of them out")
    mode: Mode = "json" if flags.as_json else "live" if flags.line_buffer else "grouped"
    form = Form(mode, flags.keep_order, flags.tag, flags.results, flags.progress)
    form.check()
    return form


def _logged(flags: Pacing, output: Output) -> Logged | None:
    if flags.joblog:
        resume: Resume = "failed" if flags.resume_failed else "all" if flags.resume else ""
        return Logged(flags.joblog, resume)
    if flags.resume_failed or (flags.resume and not output.results):
        flag = "--resume-failed" if flags.resume_failed else "--resume"
        raise UsageError(f"{flag}: give --joblog FILE, which says what was run")
    return None


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise UsageError(f"--colsep {text}: {error}; mend the expression") from None


def _unescaped(text: str, flag: str) -> bytes:
    r"""As C has it: ``\t``, ``\0``, ``\x1e``, ``\036``."""

    def one(found: re.Match[str]) -> str:
        hexadecimal, octal, letter = found.groups()
        if letter and letter not in ESCAPES:
            raise UsageError(f"{flag} {text}: \\{letter} is unknown; \\\\ is a backslash")
        code = bytes([int(hexadecimal or octal or "0", 16 if hexadecimal else 8)])
        return os.fsdecode(ESCAPES[letter] if letter else code)

    made = os.fsencode(_ESCAPED.sub(one, text))
    if not made:
        raise UsageError(f"{flag}: give at least one character")
    return made
