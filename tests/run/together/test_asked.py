"""What stands on the command line, in Procfiles and env files, and what is wrong with it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from netkit.addresses import Address
from netkit.clients.run.together import asked
from netkit.clients.run.together.settings import Done, Kill, Listening, Said
from netkit.errors import UsageError


def names(*commands: str, **flags: Any) -> list[str]:
    return [entry.name for entry in asked(commands, **flags).entries]


def refusal(*commands: str, **flags: Any) -> str:
    with pytest.raises(UsageError) as caught:
        asked(commands, **flags)
    return str(caught.value)


def procfile(folder: Path, text: str) -> Path:
    path = folder / "Procfile"
    path.write_text(text)
    return path


def test_commands_are_words_and_have_their_programs_names() -> None:
    one, two = asked(["make 'a b' --watch", "/usr/bin/g++ x"]).entries
    assert (one.name, one.words) == ("make", ("make", "a b", "--watch"))
    assert (two.name, two.words) == ("g", ("/usr/bin/g++", "x"))


def test_a_shell_gets_the_line_as_it_is() -> None:
    (entry,) = asked(["FOO=1 make && echo $FOO"], shell=True).entries
    assert entry.words == ("/bin/sh", "-c", "FOO=1 make && echo $FOO")


def test_names_are_unique() -> None:
    assert names("make a", "make b", "make c") == ["make", "make-2", "make-3"]
    assert names("make: echo a", "make b") == ["make", "make-2"]
    assert names("a: make", "make b", "c:make") == ["a", "make", "cmake"]
    assert names("make a", "web: make b", names="api,") == ["api", "web"]


@pytest.mark.parametrize(
    "line",
    ["sh -c 'a && b | c > $D'", 'sh -c "a; b `c`"', r"find . -exec ls {} \;", "curl 'x?a&b'"],
)
def test_what_is_quoted_is_not_for_a_shell(line: str) -> None:
    assert asked([line]).entries[0].words[0] == line.split()[0]


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("make && run", "&&"), ("a | b", "|"), ("a > log", ">"), ("a 2>&1", ">&"), ("a;", ";"),
        ("run -p $PORT", "$"), ("run `x`", "`"), ("PORT=1 run", "PORT="), ("a &", "&"),
    ],
)  # fmt: skip
def test_what_only_a_shell_understands_is_refused(line: str, part: str) -> None:
    assert refusal(f"web: {line}") == f"web: {part!r} is for a shell: give --shell, or quote it"


def test_a_procfile(tmp_path: Path) -> None:
    path = procfile(
        tmp_path,
        "# all of it\n\nweb: netkit serve echo\r\n  worker_1:\tmake 'a b' \n\ndb.x: true\n",
    )
    settings = asked(file=path)
    assert [(entry.name, entry.words) for entry in settings.entries] == [
        ("web", ("netkit", "serve", "echo")),
        ("worker_1", ("make", "a b")),
        ("db.x", ("true",)),
    ]
    assert settings.folder == tmp_path
    assert settings.env is None
    assert names("db.x", "web", file=path) == ["web", "db.x"]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("web: a\nb\n", "FILE:2: 'b': write it like web: netkit serve echo"),
        ("\n# x\nweb:a b", "FILE:3: 'web:a b': write it like web: netkit serve echo"),
        ("web:\n", "FILE:1: there is no command"),
        ("web: ''\n", "FILE:1: there is no command"),
        ("web: a\nweb: b\n", "FILE:2: there is another web; give each a name of its own"),
        ("web: a 'b\n", 'FILE:1: no closing quotation in "a \'b"; close the quotes'),
        ("web: a\\\n", "FILE:1: no escaped character in 'a\\\\'; double the last backslash"),
        ("web: a\0b\n", "FILE:1: a NUL is in the command; no program can get that"),
        ("# x\n", "-f FILE: no command is in it; write one like web: netkit serve echo"),
        ("web: a | b\n", "FILE:1: '|' is for a shell: give --shell, or quote it"),
    ],
)
def test_a_wrong_procfile(tmp_path: Path, text: str, wrong: str) -> None:
    path = procfile(tmp_path, text)
    assert refusal(file=path) == wrong.replace("FILE", str(path))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "Procfile"
    assert refusal(file=path) == f"-f {path}: No such file or directory"
    assert refusal(file=tmp_path) == f"-f {tmp_path}: Is a directory"
    path.write_bytes(b"web: \xff")
    assert refusal(file=path) == f"-f {path}: it is not UTF-8"
    assert "larger than 1 MiB" in refusal(file=Path("/dev/zero"))
    path.write_text("web: a")
    assert refusal("db", file=path) == f"-f {path} db: give names of its commands; there are web"
    assert "leave --names out" in refusal(file=path, names="a")


def test_an_env_file_is_read_if_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPT", "1")
    monkeypatch.setenv("A", "ours")
    (tmp_path / ".env").write_text(
        "# x\nA=b#c\nexport B = no\n".replace("export B = no", "export B=two words")
        + "C='x  # y'\nD=\nE=$A\n"
    )
    env = asked(["true"], env_file=tmp_path / ".env").env
    assert env is not None
    assert [env[name] for name in ("A", "B", "C", "D", "E", "KEPT")] == [
        "b#c", "two words", "x  # y", "", "$A", "1",
    ]  # fmt: skip
    assert os.environ["A"] == "ours"
    assert asked(file=procfile(tmp_path, "web: true")).env is None


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("secret", "write it like NAME=value"),
        ("1A=secret", "write it like NAME=value"),
        ("A='secret", "A: mend the quotes"),
        ("A='secret' b", "A: mend the quotes"),
    ],
)
def test_a_wrong_env_file_keeps_its_secrets(tmp_path: Path, line: str, wrong: str) -> None:
    path = tmp_path / ".env"
    path.write_text(f"\n{line}\n")
    assert refusal("true", env_file=path) == f"{path}:2: {wrong}"


def test_readiness(tmp_path: Path) -> None:
    settings = asked(
        ["a: x", "b: x", "c: x", "d: x", "e: x", "f: x"],
        ready=[
            "a=tcp:localhost:80", "b=tcp:[::1]:80", "c=unix:run/x", "d=line:on: \\d+$",
            "e=exit", "f=tcp://h:81",
        ],
    )  # fmt: skip
    assert [entry.ready for entry in settings.entries] == [
        Listening(Address("tcp", "localhost", 80)),
        Listening(Address("tcp", "::1", 80)),
        Listening(Address("unix", path="run/x")),
        Said(re.compile(b"on: \\d+$")),
        Done.DONE,
        Listening(Address("tcp", "h", 81)),
    ]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("a", "--ready a: write it like web=tcp:127.0.0.1:8000"),
        ("b=exit", "--ready b: give NAME=; there are a"),
        ("a=tcp:", "--ready a=tcp:: write it like web=tcp:127.0.0.1:8000, "),
        ("a=tcp:localhost:0", "--ready a=tcp:localhost:0: write it like"),
        ("a=tcp:localhost", "--ready a= 'localhost': "),
        ("a=tcp:udp://h:1", "--ready a=tcp:udp://h:1: write it like"),
        ("a=tcp:unix:/x", "--ready a=tcp:unix:/x: write it like"),
        ("a=line:", "--ready a=line:: write it like"),
        ("a=line:(", "--ready a=line:(: missing ), unterminated subpattern at position 0; mend"),
        ("a=udp:1:1", "--ready a=udp:1:1: write it like"),
    ],
)
def test_wrong_readiness(text: str, wrong: str) -> None:
    assert refusal("a: x", ready=[text]).startswith(wrong)


def test_policies() -> None:
    assert asked(["a"]).kill is Kill.NEVER
    assert asked(["a"], kill_others=True).kill is Kill.ON_END
    assert asked(["a"], kill_others_on_fail=True).kill is Kill.ON_FAILURE
    assert asked(["a"], restart="3").restarting.times == 3
    assert asked(["a"], restart="always").restarting.times is None
    assert asked(["a"], success="a").success == "a"


@pytest.mark.parametrize(
    ("flags", "wrong"),
    [
        ({"restart": "-1"}, "--restart -1: give a number, or always"),
        ({"success": "b"}, "--success b: give first, last, all or a name; there are a"),
        ({"grace": 0}, "--grace 0: give seconds above 0"),
        ({"ready_timeout": float("inf")}, "--ready-timeout inf: give seconds above 0"),
        ({"names": "x,y"}, "--names x,y: 2 for 1 commands; give one for each"),
        ({"names": "x y"}, "--names x y: letters, digits and _ - . make a name"),
        ({"ready": ["a=exit", "a=exit"]}, "--ready a=exit: a has one already; give one for each"),
    ],
)
def test_wrong_flags(flags: dict[str, Any], wrong: str) -> None:
    assert refusal("a", **flags) == wrong


def test_no_command_and_two_of_one_name() -> None:
    assert refusal().startswith("no command is given; write one like 'make watch'")
    assert refusal("a", " ") == "' ': there is no command"
    assert refusal("a", "--ready") == "--ready: flags stand before the first command; put it there"
    assert refusal("x: a", "x: b") == "x: two commands have that name; give each one of its own"
