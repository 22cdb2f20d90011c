"""``netkit run``: a command for each argument, or several commands side by side."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import Field, asdict, fields
from typing import IO, Annotated, Any, TypeVar, get_args, get_type_hints

import typer
from typer.core import TyperCommand

from netkit.cli.settings import build
from netkit.clients.run import asked, flags, together
from netkit.clients.run.halt import OTHER
from netkit.clients.run.output.screen import Screen
from netkit.clients.run.planning import lines
from netkit.clients.run.quantities import seconds
from netkit.clients.run.session import run as run_jobs
from netkit.clients.run.settings import Wishes
from netkit.clients.run.words import STDIN, File
from netkit.errors import NetkitError, UsageError
from netkit.loops import loop_factory
from netkit.signals import die_by
from netkit.stdio import OutputClosedError

T = TypeVar("T")

EPILOG = (
    "Examples:\n\nnetkit run -j 8 gzip -9 {} ::: *.log"
    "\n\nfind . -name '*.png' -print0 | netkit run -0 convert {} {.}.jpg"
    "\n\nnetkit run --shell 'zcat {} | wc -l > {.}.count' ::: *.gz"
    "\n\nnetkit run --csv --header : useradd -c {name} {login} :::: people.csv"
    "\n\nnetkit run --joblog log --resume-failed --retries 3 fetch {} :::: urls"
    "\n\nnetkit run --together 'web: make serve' 'npm run watch'"
)

CONTEXT = {"allow_interspersed_args": False}
"""What stands behind the first word of the command belongs to the command."""

FLAGS = (
    flags.Arguments, flags.Pacing, flags.Each, flags.Output, flags.Elsewhere, flags.SideBySide
)  # fmt: skip
EITHER = {"words", "shell", "grace", "loop"}
"""Flags for a command for each argument, and for several commands alike."""


class RunError(NetkitError):
    """What is no job's failure: its exit status is no count of jobs."""

    exit_code = OTHER


class RunCommand(TyperCommand):
    """Wrong options end with that status too."""

    def make_context(self, *args: Any, **more: Any) -> Any:
        """See click.Command.make_context."""
        with _with_own_status():
            return super().make_context(*args, **more)


def run(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="COMMAND [ARG]... [::: VALUE]...",
            help="{} is the argument, {.} {/} {//} {/.} its parts, {1} {name} columns. "
            "Values stand after :::, files with them after ::::, linked ones after :::+ "
            "and ::::+; else they come on standard input.",
            show_default=False,
        ),
    ] = None,
    loop: Annotated[
        str, typer.Option(metavar="auto|asyncio|uvloop", help="Event loop to run on.")
    ] = "auto",
    **values: Any,
) -> None:
    """Run a command for each argument, so many at a time; without a shell.

    Exit status: 0, or how many jobs failed (101: more than 100), or 255 for what is no
    job's failure; --halt has its own.
    """
    given = {
        param.name: param.opts[0]
        for param in context.command.params
        if param.name
        and (source := context.get_parameter_source(param.name))
        and source.name == "COMMANDLINE"
    }
    with _with_own_status():
        values = {name: value for name, value in values.items() if value is not None}
        each, several = build(flags.Each, values), build(flags.SideBySide, values)
        if several.together or several.file:
            _only(given, "leave it out with --together and --file", flags.SideBySide)
            _run_together(words or [], each, several, loop)
            return
        _only(given, "it is for --together and --file", *FLAGS[:-1])
        arguments, output = build(flags.Arguments, values), build(flags.Output, values)
        pacing, elsewhere = build(flags.Pacing, values), build(flags.Elsewhere, values)
        wishes = asked.wishes(words or (), arguments, pacing, each, output, elsewhere)
        _run_jobs(wishes, pacing, loop)


def _signature() -> inspect.Signature:
    """That of `run`, with a parameter for each flag."""
    signature = inspect.signature(run, eval_str=True)
    own = list(signature.parameters.values())[:-1]
    return signature.replace(
        parameters=[*own, *(_parameter(field, cls) for cls in FLAGS for field in fields(cls))]
    )


def _parameter(field: Field[Any], cls: type) -> inspect.Parameter:
    kind, flag = get_args(get_type_hints(cls, include_extras=True)[field.name])
    many = kind == tuple[str, ...]
    option = typer.Option(
        *flag.names,
        metavar=flag.metavar or None,
        help=flag.about,
        rich_help_panel=(cls.__doc__ or "").rstrip("."),
        show_default=field.default not in (None, False, (), "never", "0"),
    )
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=[] if many else field.default,
        annotation=Annotated[list[str] if many else kind, option],
    )


def _only(given: Mapping[str, str], why: str, *known: type) -> None:
    """Raise `UsageError` for a flag that is neither for all nor of these."""
    names = EITHER.union(*({field.name for field in fields(cls)} for cls in known))
    for name, flag in given.items():
        if name not in names:
            raise UsageError(f"{flag}: {why}")


def _run_together(words: list[str], each: flags.Each, several: flags.SideBySide, loop: str) -> None:
    more = asdict(several)
    del more["together"]
    grace = seconds(each.grace, "--grace")
    settings = together.asked(words, shell=each.shell, grace=grace, **more)
    status = _in_loop(lambda: together.run(settings, *_descriptors()), loop)
    if status is None:
        return
    if status < 0:
        die_by(signal.Signals(-status))
    raise typer.Exit(status)


def _run_jobs(wishes: Wishes, pacing: flags.Pacing, loop: str) -> None:
    read = any(isinstance(each, File) and each.path == STDIN for each in wishes.asked.sources)
    if read and sys.stdin is not None and sys.stdin.isatty():
        print("netkit: arguments are read from this terminal, one a line", file=sys.stderr)
    if pacing.dry_run:
        _print(wishes)
        return
    outcome = _in_loop(lambda: run_jobs(wishes, *_descriptors()), loop)
    if outcome is None:
        return
    if outcome.signal is not None:
        die_by(outcome.signal)
    raise typer.Exit(outcome.status)


def _print(wishes: Wishes) -> None:
    """What would be run, one command a line."""
    screen = Screen(*_descriptors())
    try:
        for line in lines(wishes.jobs, wishes.asked, wishes.pace.limit):
            screen.write("stdout", [os.fsencode(line) + b"\n"])
    except OutputClosedError:
        die_by(signal.SIGPIPE)
    except KeyboardInterrupt:
        die_by(signal.SIGINT)


def _in_loop(started: Callable[[], Coroutine[Any, Any, T]], loop: str) -> T | None:
    """What it gives; None if the process is about to die of a signal."""
    try:
        with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
            return runner.run(started())
    except KeyboardInterrupt:  # before the session heeds it
        die_by(signal.SIGINT)
    except OutputClosedError:
        die_by(signal.SIGPIPE)
    return None


def _descriptors() -> tuple[int | None, int | None]:
    return _descriptor(sys.stdout), _descriptor(sys.stderr)


def _descriptor(stream: IO[str] | None) -> int | None:
    # None where the descriptor was closed at start: its number may be another's by now.
    return None if stream is None else stream.fileno()


@contextmanager
def _with_own_status() -> Iterator[None]:
    try:
        yield
    except NetkitError as error:
        raise RunError(str(error)) from None
    except Exception as error:  # the parser's own errors have no public base class
        if say := getattr(error, "format_message", None):
            raise RunError(f"{say()} (netkit run --help)") from None
        raise


run.__signature__ = _signature()  # type: ignore[attr-defined]  # what Typer looks at
