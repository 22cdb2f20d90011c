"""What a start does not import: every process would pay for what few of them need."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from netkit.version import __version__
from tests.runtime.process import serving
from tests.runtime.talkers import Talker
from tests.workers.crew import ON_TCP

RARE = {
    *("aiohttp", "prometheus_client", "prompt_toolkit", "textual", "watchfiles"),
    *("zeroconf", "zfec"),
    "cryptography",  # for certificates and sealed feeds
}
"""Packages that a plain server does without."""

PARSING = {"typer", "pydantic", "rich"}
"""What only a command line needs."""

SAY_MODULES = """
import sys

async def handle(reader, writer):
    "Say which modules are there."
    writer.write("\\n".join(sys.modules).encode())
"""


def imported(statement: str) -> set[str]:
    """The modules that are there after a statement, in a fresh interpreter."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    # Not a site: what others put on the path may import anything at each start.
    command = [sys.executable, "-S", "-c", code]
    there = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=there, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("statement", "without"),
    [
        ("import netkit", {*RARE, *PARSING, "uvloop", "importlib.metadata"}),
        ("import netkit.cli.serve", {*RARE, "uvloop"}),
        ("from netkit.cli import application; application(['serve', 'echo'])", {*RARE, "uvloop"}),
    ],
)
def test_the_way_to_a_plain_server(statement: str, without: set[str]) -> None:
    assert not without & imported(statement)


@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_a_worker(tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    app.write_text(SAY_MODULES)
    words = (f"{app}:handle", *ON_TCP, "--workers", 2, "--admin", f"unix:{tmp_path}/admin.sock")
    async with serving(*words, loop="asyncio") as server:  # whose supervisor has aiohttp
        talker = await Talker.connect(server.ports[0])
        said = b""
        while data := await talker.read():
            said += data
        talker.sock.close()
    there = set(said.decode().split())
    assert "netkit.workers.member" in there
    assert not {*RARE, "uvloop"} & there


def test_the_version_is_told_without_a_look_at_every_verb() -> None:
    code = (
        "import sys, atexit, netkit.cli\n"
        "atexit.register(lambda: print(*sys.modules))\n"
        "netkit.cli.main(['--version'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    version, modules = done.stdout.splitlines()
    assert version == f"netkit {__version__}"
    assert not {"netkit.cli.serve", "netkit.cli.certs", "pydantic"} & set(modules.split())
