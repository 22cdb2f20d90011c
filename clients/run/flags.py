"""What stands on the command line: one field, one flag, with its help. As text, unless simple.

`asked` makes settings of it. Names are GNU parallel's where it has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated


class Flag:
    """What a field's flag is called, what it takes (nothing: a switch), and its help."""

    def __init__(self, about: str, *names: str, metavar: str = "") -> None:
        self.about, self.names, self.metavar = about, names, metavar


@dataclass(frozen=True, slots=True)
class Arguments:
    """Reading arguments."""

    null: Annotated[bool, Flag("NUL ends each argument, not a newline.", "--null", "-0")] = False
    delimiter: Annotated[
        str | None,
        Flag("This ends each argument, such as , or \\t.", "--delimiter", "-d", metavar="TEXT"),
    ] = None
    arg_file: Annotated[
        tuple[str, ...], Flag("As :::: FILE; repeatable.", "--arg-file", "-a", metavar="FILE")
    ] = ()
    colsep: Annotated[
        str | None,
        Flag("Separates columns: {1}, {2} and so on.", "--colsep", "-C", metavar="REGEX"),
    ] = None
    csv: Annotated[bool, Flag("Arguments are rows of CSV.", "--csv")] = False
    header: Annotated[
        str | None,
        Flag("The first row of each source names its columns: {name}.", "--header", metavar=":"),
    ] = None
    link: Annotated[
        bool, Flag("Sources side by side, not crossed; short ones begin again.", "--link")
    ] = False
    max_args: Annotated[
        int | None, Flag("So many arguments for each job.", "--max-args", "-n", metavar="N")
    ] = None
    max_replace_args: Annotated[
        int | None,
        Flag("The same, and x{} becomes x1 x2.", "--max-replace-args", "-N", metavar="N"),
    ] = None
    no_run_if_empty: Annotated[
        bool, Flag("Leave out arguments that are white space.", "--no-run-if-empty", "-r")
    ] = False


@dataclass(frozen=True, slots=True)
class Pacing:
    """When jobs are started, and when no more."""

    jobs: Annotated[
        str | None,
        Flag(
            "At a time: one for each CPU; with % or a sign, of the CPUs; 0: as many as can be.",
            "--jobs",
            "-j",
            metavar="N|N%|+N",
        ),
    ] = None
    delay: Annotated[str, Flag("From start to start: 0.5, 2m.", "--delay", metavar="TIME")] = "0"
    load: Annotated[
        str | None,
        Flag("Start only while fewer processes of the machine run.", "--load", metavar="N|N%"),
    ] = None
    memfree: Annotated[
        str | None,
        Flag("Start only while so much memory is available: 2G.", "--memfree", metavar="SIZE"),
    ] = None
    halt: Annotated[
        str,
        Flag(
            "now or soon; fail, success or done; N or N%: now,fail=1.",
            "--halt",
            metavar="WHEN,WHY=N",
        ),
    ] = "never"
    dry_run: Annotated[bool, Flag("Print the commands, run none.", "--dry-run")] = False
    joblog: Annotated[
        str | None,
        Flag("A line for each job that has ended; +FILE adds to it.", "--joblog", metavar="FILE"),
    ] = None
    resume: Annotated[bool, Flag("Skip jobs that the joblog has, or --results.", "--resume")] = (
        False
    )
    resume_failed: Annotated[
        bool, Flag("Skip those in the joblog that succeeded.", "--resume-failed")
    ] = False


@dataclass(frozen=True, slots=True)
class Each:
    """Each job."""

    shell: Annotated[
        bool, Flag("The command is text for /bin/sh; arguments are quoted.", "--shell")
    ] = False
    timeout: Annotated[str | None, Flag("End it then.", "--timeout", metavar="TIME")] = None
    grace: Annotated[str, Flag("From TERM to KILL.", "--grace", metavar="TIME")] = "5"
    retries: Annotated[
        int | None, Flag("Try one that fails N times in all.", "--retries", metavar="N")
    ] = None
    retry_on: Annotated[
        str | None, Flag("Only for these exit codes: 75,111.", "--retry-on", metavar="CODES")
    ] = None
    retry_delay: Annotated[
        str,
        Flag(
            "Before the second try, at most; doubled before each after that.",
            "--retry-delay",
            metavar="TIME",
        ),
    ] = "1"
    cwd: Annotated[Path | None, Flag("Run in this folder.", "--cwd", metavar="DIR")] = None
    env: Annotated[
        tuple[str, ...],
        Flag("Set it; or keep it, with --clean-env; repeatable.", "--env", metavar="NAME[=VALUE]"),
    ] = ()
    clean_env: Annotated[bool, Flag("No other variables than those of --env.", "--clean-env")] = (
        False
    )
    nice: Annotated[int | None, Flag("Added to the niceness.", "--nice", metavar="N")] = None


@dataclass(frozen=True, slots=True)
class Output:
    """Output."""

    line_buffer: Annotated[
        bool,
        Flag("Lines as they come, or each job's at its end.", "--line-buffer/--group", "--lb/ "),
    ] = False
    keep_order: Annotated[bool, Flag("In the order of the arguments.", "--keep-order", "-k")] = (
        False
    )
    tag: Annotated[bool, Flag("The arguments and a tab before each line.", "--tag")] = False
    as_json: Annotated[bool, Flag("An object for each event, one a line.", "--json")] = False
    results: Annotated[
        Path | None, Flag("Into files below this folder.", "--results", metavar="DIR")
    ] = None
    progress: Annotated[
        bool | None,
        Flag("A summary at the end; on a terminal also how far it is.", "--progress/--no-progress"),
    ] = None


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """On other machines."""

    host: Annotated[
        tuple[str, ...],
        Flag(
            "Over SSH; repeatable; N/ is so many jobs there.",
            "--host",
            metavar="[N/][USER@]HOST[:PORT]",
        ),
    ] = ()
    hosts: Annotated[
        tuple[str, ...], Flag("A file of them, one a line; repeatable.", "--hosts", metavar="FILE")
    ] = ()
    ssh_config: Annotated[
        Path | None, Flag("Instead of ~/.ssh/config.", "--ssh-config", metavar="FILE")
    ] = None
    identity: Annotated[
        tuple[str, ...],
        Flag("A private key, instead of the usual ones; repeatable.", "--identity", metavar="FILE"),
    ] = ()
    transfer: Annotated[
        tuple[str, ...],
        Flag("Send it before the job: {}; repeatable.", "--transfer", metavar="FILE"),
    ] = ()
    bring: Annotated[
        tuple[str, ...],
        Flag("Bring it back after the job: {.}.gz; repeatable.", "--return", metavar="FILE"),
    ] = ()
    base: Annotated[
        tuple[str, ...],
        Flag("Send it to each host once; repeatable.", "--basefile", metavar="FILE"),
    ] = ()
    cleanup: Annotated[bool, Flag("Remove there what was sent and brought back.", "--cleanup")] = (
        False
    )


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Several commands side by side."""

    together: Annotated[bool, Flag("Each word is a command; run all at once.", "--together")] = (
        False
    )
    file: Annotated[
        Path | None,
        Flag("So are its commands, or those that words name.", "--file", "-f", metavar="PROCFILE"),
    ] = None
    names: Annotated[
        str | None, Flag("Their names, before each line.", "--names", metavar="A,B")
    ] = None
    env_file: Annotated[
        Path | None, Flag("Variables for all of them.", "--env-file", metavar="FILE")
    ] = None
    kill_others: Annotated[bool, Flag("When one ends, end all.", "--kill-others")] = False
    kill_others_on_fail: Annotated[
        bool, Flag("When one fails, end all.", "--kill-others-on-fail")
    ] = False
    restart: Annotated[
        str, Flag("Start one that fails so often again.", "--restart", metavar="N|always")
    ] = "0"
    ready: Annotated[
        tuple[str, ...],
        Flag(
            "Later ones wait: web=tcp:HOST:PORT, web=line:REGEX, db=exit.",
            "--ready",
            metavar="NAME=WHEN",
        ),
    ] = ()
    ready_timeout: Annotated[
        float, Flag("How long they wait at most.", "--ready-timeout", metavar="SECONDS")
    ] = 60.0
    success: Annotated[
        str, Flag("Whose exit status is ours.", "--success", metavar="first|last|all|NAME")
    ] = "all"
    quiet: Annotated[bool, Flag("No remarks of ours.", "--quiet", "-q")] = False
