"""What is wrong with what was asked is one line, and no job is run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from netkit.cli import main

WRONG = [
    (("--jobs", "x"), b"", "--jobs x: give a number, a percentage of the CPUs, +N or -N"),
    (("--halt", "never,fail"), b"", "--halt never,fail: give never, or such as"),
    (("--timeout", "1w"), b"", "--timeout 1w: give seconds"),
    (("--colsep", "("), b"", "--colsep (: missing ), unterminated subpattern"),
    (("--csv", "--colsep", "ab"), b"", "--colsep ab: with --csv give one character"),
    (("--header", "x"), b"", "--header x: give : for the first row"),
    (("-0", "-d", ","), b"", "--null --delimiter: give one of them"),
    (("-d", ""), b"", "--delimiter: give at least one character"),
    (("-d", "\\q"), b"", "--delimiter \\q: \\q is unknown"),
    (("-n", "1", "-N", "1"), b"", "--max-args --max-replace-args: give one of them"),
    (("-n", "-1"), b"", "--max-args -1: give 0 or more"),
    (("--retries", "0"), b"", "--retries 0: give how often a job is tried"),
    (("--retry-on", "1"), b"", "--retry-on 1: give --retries N too"),
    (("--retries", "2", "--retry-on", "x"), b"", "--retry-on x: give exit codes"),
    (("--cwd", "/nosuch"), b"", "--cwd /nosuch: there is no such folder"),
    (("--env", "NO_SUCH_ONE"), b"", "--env NO_SUCH_ONE: it is not set"),
    (("--resume",), b"", "--resume: give --joblog FILE"),
    (("--json", "--line-buffer"), b"", "--json --line-buffer: "),
    (("-a", "-", "-a", "-"), b"", "standard input is named twice as a source"),
    (("-a", "nosuch"), b"", "nosuch: cannot be read: No such file or directory"),
    (("-a", "."), b"", ".: cannot be read: Is a directory"),
    ((), b"a\0b\n", "standard input, argument 1: holds a NUL"),
    (("--header", ":", "--colsep", ",", "echo", "{c}"), b"a,b\n1,2\n", "{c}: no such column"),
    (("--header", ":", "echo", "{c}"), b"", "{c}: no such column; there are none"),
    (("--nosuch",), b"", "No such option: --nosuch"),
    (("--ready", "a=exit"), b"", "--ready: it is for --together and --file"),
    (("--together", "-j2"), b"", "--jobs: leave it out with --together and --file"),
    (("--transfer", "{}"), b"", "--transfer: give --host HOST too"),
    (("--host", "a b"), b"", "--host a b: give a host as [N/][user@]host[:port]"),
    (("--host", "a", "--jobs", "50%"), b"", "--jobs 50%: for other machines give a number"),
    (("--host", "a", "--transfer", "../x"), b"a", "../x: leads out of the folder there"),
    (("--loop", "x"), b"", "--loop x: give auto, asyncio, uvloop or module:factory"),
]


@pytest.mark.parametrize(("words", "data", "line"), WRONG, ids=[wrong[2] for wrong in WRONG])
def test_what_is_wrong_is_one_line(
    words: tuple[str, ...],
    data: bytes,
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "input").write_bytes(data)
    stdin = os.dup(0)
    with Path("input").open("rb") as file:
        os.dup2(file.fileno(), 0)
    try:
        with pytest.raises(SystemExit) as ended:
            main(["run", *words, *(() if "echo" in words else ("echo",))])
    finally:
        os.dup2(stdin, 0)
        os.close(stdin)
    told = capfdbinary.readouterr()
    said = told.err.decode()
    assert (ended.value.code, told.out) == (255, b"")
    assert said.startswith(f"netkit: error: {line}")
    assert said.count("\n") == 1
