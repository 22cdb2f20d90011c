"""The package as others get it: source archive, wheel made from it, a fresh environment."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from netkit.version import __version__
from tests.house import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SERVERS: list[str] = sorted(PROJECT["entry-points"]["netkit.servers"])
BUILD_SECONDS = 300
"""A build that has to fetch its backend first, on a slow machine."""

pytestmark = pytest.mark.timeout(2 * BUILD_SECONDS)


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source archive, and the wheel built from that."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)]
    if importlib.util.find_spec("hatchling"):
        command.append("--no-isolation")
    run(command, ROOT)
    return folder


@pytest.fixture(scope="module")
def scripts(archives: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands are of a fresh environment with the wheel installed.

    The dependencies are borrowed: a .pth line adds our own environment's folder, whose
    .pth files are then not followed, so an editable netkit there stays out of sight.
    """
    home = tmp_path_factory.mktemp("venv")
    run([sys.executable, "-m", "venv", "--without-pip", str(home)], home)
    python = home / "bin" / "python"
    (wheel,) = archives.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    run([*pip, "install", "--no-deps", "--no-index", str(wheel)], home)
    own = run([str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], home)
    (Path(own.strip()) / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / "bin"


def run(command: list[str], folder: Path) -> str:
    """What a command prints, run in `folder` and out of sight of this checkout."""
    done = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def test_both_archives_hold_what_is_behind_the_symlinks(archives: Path) -> None:
    (source,) = archives.glob("*.tar.gz")
    (wheel,) = archives.glob("*.whl")
    with tarfile.open(source) as tar:
        packed = {name.partition("/src/")[2] for name in tar.getnames()}
    with zipfile.ZipFile(wheel) as zipped:
        installed = set(zipped.namelist())
    for folder in ("servers", "clients"):
        for file in (ROOT / folder).rglob("*.py"):
            name = f"netkit/{file.relative_to(ROOT)}"
            assert name in packed, f"{source.name} lacks {name}"
            assert name in installed, f"{wheel.name} lacks {name}"
    assert {"netkit/py.typed", "netkit/tls/groups.cnf"} <= installed


def test_no_archive_holds_a_key(archives: Path) -> None:
    (source,) = archives.glob("*.tar.gz")
    with tarfile.open(source) as tar:
        secret = [name for name in tar.getnames() if re.search(r"\.(key|p12|pfx)$", name)]
    assert not secret


def test_the_installed_package_is_the_wheels(scripts: Path, tmp_path: Path) -> None:
    where = run([str(scripts / "python"), "-c", "import netkit; print(netkit.__file__)"], tmp_path)
    assert Path(where.strip()).is_relative_to(scripts.parent)


def test_the_command_tells_its_version(scripts: Path, tmp_path: Path) -> None:
    assert __version__ in run([str(scripts / "netkit"), "--version"], tmp_path)


ARGUMENTS = {"broadcast": ["--to", "127.0.0.1:9", "--message", "hello"]}
READY = re.compile(r"(tcp|tls)://127\.0\.0\.1:[1-9]\d*|broadcasting to")


@pytest.mark.parametrize("name", SERVERS)
def test_every_built_in_starts_and_drains(name: str, scripts: Path, tmp_path: Path) -> None:
    command = [str(scripts / "netkit"), "serve", name, *ARGUMENTS.get(name, ["--port", "0"])]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        seen = []
        for line in process.stderr:  # ends with the process, or with the test's timeout
            seen.append(line)
            if READY.search(line):
                break
        else:
            pytest.fail(f"netkit serve {name} never told that it serves: {''.join(seen)}")
        process.terminate()
        _, rest = process.communicate()
    # After the drain the signal is raised again, so that the parent sees why it ended.
    assert process.returncode == -signal.SIGTERM, rest
    assert "Traceback" not in rest
