"""Whoever asks wrongly hears it in one line: what, where, and the mend."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from netkit.certificates.develop import development
from tests.commands import netkit
from tests.forked import Forked, signalled
from tests.runtime.process import LOOPS

by_asyncio = pytest.mark.asyncio(loop_factories=["asyncio"])

PATIENCE = 20
"""Seconds after which a server that does not refuse is taken to have started."""

HANDLER = "async def handle(reader, writer): pass\n"


async def refusal(*arguments: object, status: int = 2, folder: Path | None = None) -> str:
    """The one line with which ``netkit serve`` refuses; whatever else it does fails the test."""
    process = await Forked.start(["serve", *map(str, arguments)], stdout=True, folder=folder)
    try:
        async with asyncio.timeout(PATIENCE):
            output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            signalled(process, signal.SIGKILL)
            await process.communicate()
    lines = errors.decode().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("netkit: error: ")
    assert output == b""
    assert process.returncode == status
    return lines[0]


def refused(*arguments: object) -> str:
    """The same of what is checked before anything starts, by `netkit serve` in this process."""
    ended = netkit("serve", *arguments, "--dump-config")
    lines = ended.errors.splitlines()
    assert (ended.status, ended.output, len(lines)) == (2, "", 1), ended
    assert lines[0].startswith("netkit: error: ")
    return lines[0]


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> tuple[str, str]:
    return "--loop", request.param


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody else listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


@by_asyncio
async def test_a_taken_port(loop: tuple[str, str], taken: int) -> None:
    line = await refusal("echo", "--bind", f"tcp://127.0.0.1:{taken}", *loop, status=3)
    assert f"tcp://127.0.0.1:{taken}: the port is taken" in line
    assert "give another port" in line


@by_asyncio
async def test_a_taken_port_of_several(loop: tuple[str, str], taken: int) -> None:
    binds = ("--bind", "127.0.0.1:0", "--bind", f"127.0.0.1:{taken}")
    assert f":{taken}: the port is taken" in await refusal("echo", *binds, *loop, status=3)


@by_asyncio
async def test_an_address_that_is_not_ours(loop: tuple[str, str]) -> None:
    line = await refusal("echo", "--bind", "192.0.2.1:0", *loop, status=3)
    assert "192.0.2.1:0: no interface of this machine has that address" in line


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("nonsense", "nonsense: no server has that name; give one of broadcast, chargen, chat"),
        ("absent.py:handle", "absent.py:handle: there is no file absent.py"),
        ("app.py", "app.py: say which object in it to serve, like app.py:handle"),
        ("app.py:absent", "app.py has no 'absent'; it has handle"),
        ("absent:handle", "absent:handle: there is no module absent"),
        ("absent.inner:handle", "there is no module absent.inner"),
        ("app:absent", "app has no 'absent'; it has handle"),
        ("app:number", "app:number: a int cannot be served; give an async def"),
        ("app:Number", "app:Number: class Number cannot be served; give an async def"),
        ("app:one", "a stream handler is called as handle(reader, writer); this one takes (reader"),
        ("app:two", "it takes arguments, but is not an async def"),
        ("app:makes_text", "app:makes_text: it makes a str; give an async def"),
        ("app:Needy", "missing 1 required positional argument: 'name'; make it a dataclass"),
        ("broken:handle", "importing it fails: ZeroDivisionError: division by zero"),
        ("broken.py:handle", "broken.py, line 2)"),
        ("unclosed.py:handle", "importing it fails: SyntaxError"),
        ("importer.py:handle", "ModuleNotFoundError: No module named 'absent'"),
    ],
)
def test_a_target_that_cannot_be_served(
    target: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "app.py").write_text(
        HANDLER
        + "import netkit\nnumber = 7\nclass Number: pass\nasync def one(reader): pass\n"
        + "def two(reader, writer): pass\ndef makes_text(): return ''\n"
        + "class Needy(netkit.Service):\n    def __init__(self, name): pass\n"
    )
    (tmp_path / "broken.py").write_text("# the second line\n1 / 0\n")
    (tmp_path / "unclosed.py").write_text("async def handle(\n")
    (tmp_path / "importer.py").write_text("import absent\n" + HANDLER)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    before = set(sys.modules)
    try:
        assert says in refused(target)
    finally:
        for name in set(sys.modules) - before:  # the next `app` is another
            del sys.modules[name]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--bind", "tcp://"), "--bind 'tcp://': it is empty"),
        (("--bind", "http://127.0.0.1:1"), "'http' is not one of tcp, tls, udp, unix, fd"),
        (("--bind", "127.0.0.1:65536"), "'65536' is not a port (0 to 65535)"),
        (("--bind", "127.0.0.1"), "the port is missing; write it like 127.0.0.1:8000"),
        (("--bind", "::1"), "an IPv6 address needs brackets and a port"),
        (("--bind", "unix:"), "--bind 'unix:': the path is missing"),
        (("--port", "65536"), "'65536' is not a port"),
        (("--port", "many"), "'--port': Input should be a valid integer"),
        (("--bind", "tls://127.0.0.1:0", "--no-such-flag"), "No such option"),
        (("--limit-connections", "0"), "--limit-connections 0: give at least 1"),
        (("--limit-handshake", "0"), "--limit-handshake 0.0: give at least 0.001"),
        (("--limit-line", "-1"), "--limit-line -1: give at least 1"),
        (("--limit-idle", "-1"), "--limit-idle -1.0: give 0 (no limit) or more"),
        (("--limit-per-address", "-1"), "--limit-per-address -1: give 0 (no limit) or more"),
        (("--limit-write-buffer", "-1"), "--limit-write-buffer -1: give 0 (no limit) or more"),
        (("--limit-idle", "nan"), "--limit-idle nan: "),
        (("--timeout-graceful-shutdown", "-1"), "--timeout-graceful-shutdown -1"),
        (("--backlog", "-1"), "--backlog -1"),
        (("--log-level", "loud"), "'--log-level': Value error, 'loud' is not one of"),
        (("--loop", "nonsense"), "--loop nonsense: give auto, asyncio, uvloop or module:factory"),
        (("--loop", "absent:factory"), "--loop absent:factory: No module named 'absent'"),
        (("--loop", "asyncio:absent"), "--loop asyncio:absent: module 'asyncio' has no attribute"),
        (("--loop", "asyncio:AF_INET"), "--loop asyncio:AF_INET: "),
        (
            ("--api", "telepathy"),
            "'--api': Value error, 'telepathy' is not one of 'streams'",
        ),
    ],
)
def test_an_option_out_of_range(arguments: tuple[str, ...], says: str) -> None:
    assert says in refused("echo", "--bind", "127.0.0.1:0", *arguments)


@by_asyncio
async def test_in_a_process_of_its_own_too() -> None:
    assert "'65536' is not a port" in await refusal("echo", "--port", "65536")
    assert "no server has that name" in await refusal("nonsense")


@by_asyncio
async def test_a_target_that_does_not_serve_what_the_address_carries(
    loop: tuple[str, str], tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(HANDLER)
    line = await refusal("app.py:handle", "--bind", "udp://127.0.0.1:0", *loop, folder=tmp_path)
    assert "this server has no datagrams; use tcp://" in line


@by_asyncio
async def test_datagrams_alone_do_not_serve_tcp(loop: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("from asyncio import DatagramProtocol as Silent\n")
    line = await refusal("app.py:Silent", "--bind", "tcp://127.0.0.1:0", *loop, folder=tmp_path)
    assert "this server has datagrams only; use udp://" in line


@by_asyncio
async def test_a_service_that_cannot_start(loop: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import netkit\nclass App(netkit.Service):\n"
        "    async def handle(self, reader, writer): pass\n"
        "    async def __aenter__(self): raise ValueError('no history')\n"
    )
    line = await refusal("app.py:App", "--port", 0, *loop, status=3, folder=tmp_path)
    assert "App could not start: ValueError: no history" in line


@by_asyncio
async def test_certificates_that_cannot_be_used(tmp_path: Path, own_certificates: Path) -> None:
    made = development()
    other = tmp_path / "other.pem"
    other.write_bytes((own_certificates / "ca.pem").read_bytes())
    tls = ("echo", "--port", 0, "--ssl-certfile")
    line = await refusal(*tls, tmp_path / "absent.pem")
    assert f"--ssl-certfile {tmp_path / 'absent.pem'}: " in line
    line = await refusal(*tls, made.cert, "--ssl-keyfile", tmp_path / "absent.key")
    assert f"--ssl-keyfile {tmp_path / 'absent.key'}: " in line
    line = await refusal(*tls, other, "--ssl-keyfile", made.key)
    assert f"--ssl-keyfile {made.key}: this key does not belong to the first certificate" in line
    line = await refusal(*tls, made.cert)
    assert f"--ssl-certfile {made.cert}: holds no PEM private key; give the key's file" in line
    line = await refusal(*tls, made.cert, "--ssl-keyfile", made.key, "--ssl-keyfile", made.key)
    assert "--ssl-keyfile: 2 keys for 1 certificates; give one for each" in line
    line = await refusal("echo", "--ssl-keyfile", made.key, "--tls")
    assert "--ssl-keyfile: a key without certificate; add --ssl-certfile" in line
    line = refused("echo", "--ssl-ca-certs", own_certificates / "ca.pem")
    assert "--ssl-ca-certs: client certificates need TLS; add --tls" in line
    line = await refusal("echo", "--tls", "--ssl-ca-certs", tmp_path / "absent.pem")
    assert f"--ssl-ca-certs {tmp_path / 'absent.pem'}: " in line


@by_asyncio
async def test_a_tls_address_without_certificate() -> None:
    # TLS by the address alone takes the development certificate, but not a broken folder's.
    folder = Path(os.environ["NETKIT_CERTS"])
    folder.write_text("a file where the folder should be")
    line = await refusal("echo", "--bind", "tls://127.0.0.1:0")
    assert str(folder) in line


@by_asyncio
async def test_descriptors_that_are_no_listening_sockets() -> None:
    line = await refusal("echo", "--fd", 99)
    assert "--fd 99: Bad file descriptor; give the number of a socket" in line
    line = await refusal("echo", "--fd", 0)  # /dev/null
    assert "--fd 0: Socket operation on non-socket; give the number of a socket" in line
    line = await refusal("echo", "--fd", -1)
    assert "--fd -1: " in line


@by_asyncio
async def test_unix_paths_that_cannot_be_had(tmp_path: Path) -> None:
    line = await refusal("echo", "--uds", tmp_path / "absent" / "x.sock", status=3)
    assert f"unix:{tmp_path}/absent/x.sock: No such file or directory; give a path" in line
    line = await refusal("echo", "--uds", "/proc/x.sock", status=3)
    assert "cannot listen on unix:/proc/x.sock: " in line
    ordinary = tmp_path / "ordinary"
    ordinary.write_text("mine")
    line = await refusal("echo", "--uds", ordinary, status=3)
    assert "a file that is no socket is there; remove it or give another path" in line
    assert ordinary.read_text() == "mine"
    line = refused("echo", "--uds", tmp_path / ("x" * 200))
    assert "bytes where the kernel allows" in line


@by_asyncio
async def test_a_unix_path_on_which_another_listens(loop: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        line = await refusal("echo", "--uds", path, *loop, status=3)
    assert "another process listens there; stop it or give another path" in line
