"""``netkit serve --config``: what counts, and every mistake in one line with its mend."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import pytest

from netkit.cli import line, main
from netkit.cli.serve import GENERAL
from tests.house import ROOT
from tests.workers.crew import WHO


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "x.toml"


def dumped(capfd: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    """The settings in force for a command line."""
    with pytest.raises(SystemExit) as ended:
        main(["serve", *map(str, words), "--dump-config"])
    printed = capfd.readouterr()
    assert ended.value.code == 0, printed.err
    return tomllib.loads(printed.out)


def refused(capfd: pytest.CaptureFixture[str], *words: object) -> str:
    """The one line with which a command line is refused."""
    with pytest.raises(SystemExit) as ended:
        main(["serve", *map(str, words), "--dump-config"])
    printed = capfd.readouterr()
    assert ended.value.code == 2
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    return printed.err.removeprefix("netkit: error: ").rstrip("\n")


def test_flag_before_environment_before_file(
    file: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('target = "chat"\nport = 1\nbacklog = 2\nmotd = "a"\ntls = true\n')
    monkeypatch.setenv("NETKIT_CONFIG", str(file))
    assert dumped(capfd)["port"] == 1
    monkeypatch.setenv("NETKIT_PORT", "3")
    monkeypatch.setenv("NETKIT_MOTD", "b")
    monkeypatch.setenv("NETKIT_TLS", "0")
    found = dumped(capfd, "--motd", "c")
    assert found["target"] == "chat"
    assert (found["port"], found["backlog"], found["motd"]) == (3, 2, "c")
    assert found["tls"] is False
    assert found["limit-idle"] == 3600.0


def test_a_flag_turns_off_what_the_file_turns_on(
    file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file.write_text('target = "echo"\ntls = true\naccess-log = false\nbind = ["a:1", "a:2"]\n')
    found = dumped(capfd, "--config", file, "--no-tls", "--access-log", "--bind", "b:1")
    assert (found["tls"], found["access-log"], found["bind"]) == (False, True, ["b:1"])


def test_the_file_in_the_documentation(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    file.write_text(page.partition("```toml\n")[2].partition("```")[0])
    assert dumped(capfd, "--config", file)["limit-idle"] == 600.0


def test_the_target_of_the_command_line_wins(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file.write_text('target = "chat"\nlimit_idle = 5\n')
    found = dumped(capfd, "--config", file, "echo")
    assert (found["target"], found["limit-idle"]) == ("echo", 5.0)
    assert "motd" not in found


def test_paths_start_from_the_files_folder(
    file: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (file.parent / "server_of_file.py").write_text(WHO)
    file.write_text(
        'target = "server_of_file.py:handle"\nssl-certfile = ["a.pem", "/b.pem"]\n'
        'uds = "x.sock"\nbind = ["unix:y.sock", "unix:./@y", "unix:@y", "unix:/y", "a:1"]\n'
    )
    folder = file.parent
    monkeypatch.chdir("/")
    found = dumped(capfd, "--config", file)
    assert found["target"] == f"{folder}/server_of_file.py:handle"
    assert found["ssl-certfile"] == [f"{folder}/a.pem", "/b.pem"]
    assert found["uds"] == f"{folder}/x.sock"
    assert found["bind"][:2] == [f"unix:{folder}/y.sock", f"unix:{folder}/./@y"]
    assert found["bind"][2:] == ["unix:@y", "unix:/y", "a:1"]
    file.write_text('target = "echo"\nuds = "@x"\n')
    assert dumped(capfd, "--config", file)["uds"] == "@x"


def test_a_module_and_its_folder_from_the_file(
    file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (file.parent / "own").mkdir()
    (file.parent / "own" / "made_by_factory.py").write_text(
        "from netkit.servers.chat import Chat\ndef make(): return Chat\n"
    )
    file.write_text('target = "made_by_factory:make"\napp-dir = "own"\nfactory = true\nmotd = "x"')
    assert dumped(capfd, "--config", file)["motd"] == "x"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("limt-idle = 6", "limt-idle: chat has no such setting; did you mean limit-idle?"),
        ("Motd = ''", "Motd: chat has no such setting; did you mean motd?"),
        ("'--port' = 1", "--port: chat has no such setting; did you mean port?"),
        ("no-tls = true", "no-tls: chat has no such setting; write tls = true or false"),
        ("config = 'x'", "config: chat has no such setting; netkit serve chat --help lists them"),
        ("dump-config = true", "dump-config: chat has no such setting; "),
        ('"a\\u001bb" = 1', "'a\\x1bb': chat has no such setting; "),
        ("limit-idle = 1\nlimit_idle = 1", "limit-idle and limit_idle are the same setting; "),
        ("port = 1\nport = 2\n", "not TOML: port: Cannot overwrite a value (at line 2, column 9)"),
        ("port = 1\nport = 2", "not TOML: port: Cannot overwrite a value (at end of document)"),
        ("port = 1\nmotd = x", "not TOML: motd: Invalid value (at line 2, column 8)"),
        ("\n\n]", "not TOML: Invalid statement (at line 3, column 1)"),
        ("motd = ", "not TOML: motd: Invalid value (at end of document)"),
        ("[limit]\nidle = 1", "[limit]: there are no tables; write each setting at the top"),
        ("limit.idle = 1", "[limit]: there are no tables; write each setting at the top"),
        ("port = '1'", "port: give a whole number, not text"),
        ("port = 1.0", "port: give a whole number, not a number"),
        ("port = true", "port: give a whole number, not true or false"),
        ("limit-idle = '1'", "limit-idle: give a number, not text"),
        ("limit-idle = true", "limit-idle: give a number, not true or false"),
        (f"limit-idle = 1{'0' * 400}", "limit-idle: too large a number; write inf"),
        (f"limit-idle = 1{'0' * 5000}", "a number of thousands of digits; take it out"),
        ("tls = 1", "tls: give true or false, not a whole number"),
        ("uds = ''", "uds: give a path in quotes, not empty text"),
        ("uds = 2026-01-01", "uds: give a path in quotes, not a date"),
        ("motd = 1.5", "motd: give text in quotes, not a number"),
        ("motd = ['a']", "motd: give text in quotes, not a list"),
        ("bind = 'a:1'", 'bind: give a list, like bind = ["…"], not text'),
        ("bind = [['a:1']]", "bind: give text in quotes, not a list"),
        ("port = {}", "port: give a whole number, not a table"),
        ("log-level = 'wran'", 'log-level: give one of "debug", "info", "warning", "error", not'),
        ("ssl-minimum = 1.3", 'ssl-minimum: give one of "1.2", "1.3", not a number'),
        ('motd = "\\u0000"', "motd: a setting holds no NUL character; take it out"),
        ("a = " + "[" * 5000, "lists within lists, too deep for any setting"),
        # What is checked later names the file too.
        ("limit-idle = -1", "--limit-idle -1.0: give 0 (no limit) or more"),
        ("limit-idle = nan", "--limit-idle nan: give 0 (no limit) or more"),
        ("worker-timeout = 1", "--worker-timeout 1: give at least 3"),
        ("workers = 2", "--workers 2: chat keeps its state in one process"),
        ("bind = ['nonsense']", "--bind 'nonsense': the port is missing"),
        ("loop = 'nonsense'", "--loop nonsense: give auto, asyncio, uvloop or"),
        ("max-rooms = 0", "--max-rooms is 0: it must be more than 0"),
    ],
)
def test_a_mistake_in_the_file(
    text: str, says: str, file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file.write_text(text)
    assert refused(capfd, "chat", "--config", file).startswith(f"{file}: {says}")


def test_a_mistake_elsewhere_does_not_blame_the_file(
    file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file.write_text("limit-idle = 6\n")
    line = refused(capfd, "echo", "--config", file, "--limit-idle", "-1")
    assert line.startswith("--limit-idle -1.0: ")


def test_a_secret_is_not_told(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file.write_text("ssl-keyfile-password = ['sesame']\n")
    line = refused(capfd, "echo", "--config", file)
    assert line.endswith("ssl-keyfile-password: give text in quotes, not a list")
    file.write_text("ssl-keyfile-password = 'sesame'\n")
    with pytest.raises(SystemExit):
        main(["serve", "echo", "--config", str(file), "--help"])
    assert "sesame" not in capfd.readouterr().out


def test_files_that_cannot_be_read(
    file: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = file.with_name("absent.toml")
    mend = "No such file or directory; give the path of a TOML file"
    assert refused(capfd, "--config", absent) == f"--config {absent}: {mend}"
    os.mkfifo(file.with_name("pipe"))
    for other in (file.parent, file.with_name("pipe")):
        assert "no regular file; give the path" in refused(capfd, "--config", other)
    file.write_bytes(b"# \xff")
    assert refused(capfd, "--config", file) == f"{file}: byte 2 is not UTF-8; save it as UTF-8"
    file.write_bytes(b"#" * 1_048_577)
    assert "larger than 1048576 bytes" in refused(capfd, "--config", file)
    assert refused(capfd, "--config", file, "--config", file).endswith("2 files; give one")
    monkeypatch.setenv("NETKIT_CONFIG", str(absent))
    assert refused(capfd) == f"NETKIT_CONFIG {absent}: {mend}"


def test_no_target(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file.write_text("port = 1\n")
    assert refused(capfd, "--config", file).startswith("TARGET is missing: give a name")
    assert refused(capfd).startswith("TARGET is missing: give a name")
    file.write_text('target = "nonsense"\n')
    line = refused(capfd, "--config", file)
    assert line.startswith(f"{file}: target: nonsense: no server has that name; ")


def test_other_verbs_do_not_mind(
    file: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NETKIT_CONFIG", str(file))  # there is none
    for words in (["--version"], ["serve", "--help"], ["certs", "--help"]):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 0, capfd.readouterr().err


def test_another_services_settings(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file.write_text('target = "chat"\nmotd = ""\n')
    says = f"{file}: motd: echo has no such setting; netkit serve echo --help lists them"
    assert refused(capfd, "echo", "--config", file) == says


def test_help_shows_the_files_values(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file.write_text('target = "chat"\nport = 4711\nmotd = "[/b]"\n')
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--config", str(file), "--help"])
    assert ended.value.code == 0
    printed = capfd.readouterr().out
    assert "--max-rooms" in printed
    assert "[default: 4711]" in printed
    assert "[/b]" in printed


@pytest.mark.parametrize(
    ("words", "target", "config"),
    [
        ("chat --config c", "chat", "c"),
        ("--config=c", None, "c"),
        ("--port 1 --tls chat --port 2", "chat", None),
        ("--no-access-log chat", "chat", None),
        ("--config c --motd hello", None, "c"),
        ("--config c --amplify --port 0", None, "c"),
        ("--rate -1 chat", "chat", None),
        ("--limit-idle -.5 chat", "chat", None),
        ("--tls -- chat", "chat", None),
        ("--dump-config chat", "chat", None),
    ],
)
def test_a_line_before_it_is_parsed(words: str, target: str | None, config: str | None) -> None:
    found = line.read(words.split(), GENERAL, ["--config"])
    assert found.target == target
    assert found.flags.get("--config", [None]) == [config]


def test_a_line_that_could_be_read_in_two_ways(
    file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file.write_text('target = "qotd"\n')
    says = "TARGET, --config, --app-dir and --factory decide which other flags there are"
    assert says in refused(capfd, "--config", file, "--amplify", "echo")
    assert says in refused(capfd, "chat", "--motd", "--app-dir")
