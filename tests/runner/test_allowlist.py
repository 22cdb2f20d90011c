"""The allow-list: what it says is taken exactly, and what it cannot mean is one line."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from netkit.errors import UsageError
from netkit.servers.runner.allowlist import GRACE, OUTPUT, TIMEOUT, load
from netkit.servers.runner.callers import Caller
from netkit.servers.runner.lists import List
from netkit.servers.runner.refusals import RefusedError
from tests.runner.talking import listed

ALICE, BOB = Caller(frozenset({"cn:alice"})), Caller(frozenset({"cn:bob", "san:dns:b.example"}))
WHOLE = """
[commands.ping]
program = "/bin/echo"
arguments = ["-c", "{count}", "{host}", "{{}}"]
callers = ["cn:alice", "san:dns:B.EXAMPLE"]
timeout = 30
grace = 1.5
concurrency = 2
output = 1000
stdin = true
detach = true
terminal = true
cwd = "/tmp"
umask = "027"
nice = 5
user = "0"
limits = { nofile = 64, core = 0 }
environment.pass = ["NETKIT_CERTS", "NOT_THERE"]
environment.set = { LANG = "C" }

[commands.ping.parameters]
count = { type = "int", min = 1, max = 10, default = 3 }
host = { pattern = "[a-z.]+" }
"""


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    found = load(listed(tmp_path, WHOLE)).permission("ping", ALICE)
    assert (found.bounds.timeout, found.bounds.grace) == (30, 1.5)
    assert (found.concurrency, found.output) == (2, 1000)
    assert (found.stdin, found.detach, found.terminal) == (True, True, True)
    around = found.surroundings
    assert (around.cwd, around.umask, around.nice) == (Path("/tmp"), 0o27, 5)
    assert around.limits == {resource.RLIMIT_NOFILE: (64, 64), resource.RLIMIT_CORE: (0, 0)}
    assert around.env == {
        "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C",
        "NETKIT_CERTS": os.environ["NETKIT_CERTS"],
    }  # fmt: skip
    assert found.filled(["7"], {"host": "a.b"}) == ("/bin/echo", "-c", "7", "a.b", "{}")


def test_what_is_not_said(tmp_path: Path) -> None:
    text = '[commands.x]\nprogram = "/bin/echo"\ncallers = ["*"]\n'
    found = load(listed(tmp_path, text)).permission("x", ALICE)
    assert (found.bounds.timeout, found.bounds.grace, found.output) == (TIMEOUT, GRACE, OUTPUT)
    assert (found.stdin, found.detach, found.terminal) == (False, False, False)
    assert found.surroundings.env == {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    assert found.surroundings.cwd == Path("/")


def test_who_may_not_hears_the_same_as_who_asks_for_nothing(tmp_path: Path) -> None:
    commands = load(listed(tmp_path, WHOLE))
    assert commands.permission("ping", BOB).name == "ping"
    stranger = Caller(frozenset({"cn:mallory", "cn:ALICE", "san:dns:alice", "uid:0"}))
    said = []
    for name in ("ping", "pong"):
        with pytest.raises(RefusedError) as refused:
            commands.permission(name, stranger)
        said.append((refused.value.code, str(refused.value).replace(name, "…")))
    assert said[0] == said[1]
    assert commands.open_to(stranger) == []


def test_everybody_is_not_whoever_is_on_this_machine(tmp_path: Path) -> None:
    text = '[commands.x]\nprogram = "/bin/echo"\ncallers = ["*"]\n'
    commands = load(listed(tmp_path, text))
    assert commands.permission("x", Caller(frozenset({"uid:1"}))).name == "x"
    with pytest.raises(RefusedError):
        commands.permission("x", Caller(frozenset({"loopback"})))


@pytest.mark.parametrize(
    ("arguments", "named", "why"),
    [
        (["1", "a", "b"], {}, "3 arguments, 2 are taken"),
        (["1"], {"count": "2", "host": "a"}, "count is given twice"),
        ([], {"host": "a", "program": "x"}, "no parameter"),
        ([], {}, "host is missing"),
        (["x", "a"], {}, "count: give a whole number from 1 to 10"),
    ],
)
def test_arguments_that_do_not_fit(
    tmp_path: Path, arguments: list[str], named: dict[str, str], why: str
) -> None:
    permission = load(listed(tmp_path, WHOLE)).permission("ping", ALICE)
    with pytest.raises(RefusedError, match=why):
        permission.filled(arguments, named)


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ('"/bin/echo"', '"echo"', "line 3: commands.ping.program: 'echo' is no absolute path"),
        ('"/bin/echo"', '"/bin/none"', "line 3: .*no program that we may execute"),
        ('"/bin/echo"', '"/bin"', "line 3: .*no program that we may execute"),
        ('"/bin/echo"', '"/bin/echo\\u0000"', "NUL"),
        ('program = "/bin/echo"', "", "line 2: commands.ping.program: is missing"),
        ("timeout = 30", 'timeout = "30"', "line 6: .*timeout: give a number, not text"),
        ("timeout = 30", "timeout = true", "timeout: give a number, not true or false"),
        ("timeout = 30", "timeout = 0", "timeout: is 0"),
        ("timeout = 30", "timeout = nan", "timeout: is nan"),
        ("timeout = 30", "timeouts = 30", "line 6: .*timeouts: unknown key; did you mean timeout"),
        ("concurrency = 2", "concurrency = 0", "concurrency: is 0; give 1 to"),
        ("output = 1000", "output = -1", "output: is -1"),
        ("stdin = true", "stdin = 1", "stdin: give true or false, not a whole number"),
        ('cwd = "/tmp"', 'cwd = "tmp"', "cwd: tmp is no absolute path"),
        ('cwd = "/tmp"', 'cwd = "/tmp/none"', "cwd: .*no absolute path of a folder"),
        ('umask = "027"', "umask = 27", "umask: give text"),
        ('umask = "027"', 'umask = "9"', "umask: '9': give three octal digits"),
        ("nice = 5", "nice = 20", "nice: is 20; give -20 to 19"),
        ('user = "0"', 'user = "no-such-user"', "user: there is no user 'no-such-user'"),
        ("nofile = 64", "files = 64", "limits: 'files' is none of"),
        ("nofile = 64", "nofile = -1", "limits: nofile is -1"),
        ('"NOT_THERE"', '"NOT THERE"', "pass: 'NOT THERE' is no name of a variable"),
        ('LANG = "C"', '"A=B" = "C"', "set: 'A=B' is no name of a variable"),
        ('LANG = "C"', "LANG = 1", "set: LANG: give text"),
        ('LANG = "C"', 'LANG = "a\\u0000b"', "set: LANG: holds a NUL"),
        ("environment.set", "environment.sets", "environment.sets: unknown key"),
        ('"cn:alice"', '"alice"', "line 5: .*callers: 'alice' is no caller"),
        ('"cn:alice"', '"uid:root"', "callers: 'uid:root': a uid is a number"),
        ('"cn:alice"', '"user:no-such-user"', "callers: .*no such user"),
        ('callers = ["cn:alice", "san:dns:B.EXAMPLE"]', "callers = []", "callers: name who"),
        ('callers = ["cn:alice", "san:dns:B.EXAMPLE"]', "", "callers: name who"),
        ('"-c"', "1", "arguments: give a list of texts"),
        ('"{host}"', '"{host"', "line 4: .*arguments: '{host': a brace alone"),
        ('"{host}"', '"{hosts}"', "arguments: {hosts} is no parameter"),
        ('"{host}"', '"x"', "parameters: host stands nowhere in arguments"),
        ('pattern = "[a-z.]+"', 'pattern = "[a-z"', "host.pattern: .*does not compile"),
        ('pattern = "[a-z.]+"', 'pattern = ""', "host.pattern: is empty"),
        ('pattern = "[a-z.]+"', 'choice = []', "host.choice: is empty"),
        ('pattern = "[a-z.]+"', 'pattern = "a", choice = ["a"]', "give one of"),
        ('{ pattern = "[a-z.]+" }', "{}", "host: give one of"),
        ('{ pattern = "[a-z.]+" }', '"[a-z.]+"', "host: give a table"),
        ('pattern = "[a-z.]+"', 'root = "files"', "host.root: files: give an absolute path"),
        ('pattern = "[a-z.]+"', 'root = "/"', "host.root: /: give an absolute path, and not /"),
        ('pattern = "[a-z.]+"', 'type = "float"', 'host.type: only "int" is known'),
        ("min = 1", "min = 11", "count.min: 11 is more than max = 10"),
        ("min = 1", "min = -1", "count.min: a value below 0 begins with '-'"),
        ("default = 3", "default = 30", "count.default: '30' may not be given itself"),
        ("default = 3", "dflt = 3", "count.dflt: unknown key"),
        ("[commands.ping]", "[command.x]\n[commands.ping]", "unknown key; did you mean commands"),
        ("[commands.ping]\n", '[commands."a b"]\n', "a name is 1 to 64 of"),
        ("timeout = 30", "timeout = 30\ntimeout = 40", "line 7"),
        ("timeout = 30", "timeout = ", "not TOML"),
    ],
)  # fmt: skip
def test_a_slip_is_one_line_with_file_and_key(
    tmp_path: Path, before: str, after: str, why: str
) -> None:
    assert before in WHOLE
    path = listed(tmp_path, WHOLE.replace(before, after, 1))
    with pytest.raises(UsageError, match=why) as wrong:
        load(path)
    assert str(wrong.value).startswith(str(path))
    assert "\n" not in str(wrong.value)


def test_a_file_that_others_may_write_is_not_read(tmp_path: Path) -> None:
    path = listed(tmp_path, WHOLE)
    for mode in (0o664, 0o646, 0o666):
        path.chmod(mode)
        with pytest.raises(UsageError, match="others may write it"):
            load(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_somebody_else_is_not_read(tmp_path: Path) -> None:
    path = listed(tmp_path, WHOLE)
    os.chown(path, 12345, 12345)
    with pytest.raises(UsageError, match="belongs to user 12345"):
        load(path)


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "latin").write_bytes(b"\xff")
    (tmp_path / "large").write_bytes(b"#" * (1024 * 1024 + 1))
    (tmp_path / "deep").write_text("a = " + "[" * 20_000)
    for name, why in {
        "none": "No such file", ".": "s a directory|no regular file", "fifo": "no regular file",
        "latin": "not UTF-8", "large": "larger than", "deep": "not TOML|too deep",
    }.items():  # fmt: skip
        with pytest.raises(UsageError, match=why):
            load(tmp_path / name)


async def test_a_changed_file_is_put_in_force(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    current = List(listed(tmp_path, WHOLE))
    await current.look()
    listed(tmp_path, WHOLE.replace("timeout = 30", "timeout = 31"))
    await current.look()
    assert current.current.permission("ping", ALICE).bounds.timeout == 30  # it may be half written
    await current.look()
    assert current.current.permission("ping", ALICE).bounds.timeout == 31


async def test_a_broken_file_changes_nothing_and_is_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = listed(tmp_path, WHOLE)
    current = List(path)
    for broken in ("[commands.ping", WHOLE.replace("30", "0"), None):
        caplog.clear()
        if broken is None:
            path.unlink()
        else:
            listed(tmp_path, broken)
        for _ in range(4):
            await current.look()
        errors = [each.getMessage() for each in caplog.records if each.name == "netkit.server"]
        assert len(errors) == 1, errors
        assert "the list before it stays in force" in errors[0]
        assert current.current.permission("ping", ALICE).bounds.timeout == 30
    listed(tmp_path, WHOLE.replace("timeout = 30", "timeout = 32"))
    await current.look()
    await current.look()
    assert current.current.permission("ping", ALICE).bounds.timeout == 32
