"""Who is measured under TLS, and how each is started; all with one certificate."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.command import Asked
from benchmarks.contenders import listening, netkit
from benchmarks.load import compiled
from benchmarks.process import ROOT, Server, memory, running
from benchmarks.tls_load import OPENSSL

from netkit.certificates.develop import Development

BEST = "C"
ROLES = {"upload": "sink", "download": "source"}
"""What a server does under a mode of the generator; it echoes under all others."""

SHAKES = frozenset({"handshake", "resume"})
MODES = SHAKES | {"echo", "upload", "download", "idle", "half"}
ECHOES = MODES - set(ROLES)
STREAM_MODULES = [Path("/usr/lib/nginx/modules/ngx_stream_module.so")]
NGINX = """
{module}
daemon off; master_process off; pid nginx.pid; error_log stderr error;
events {{ worker_connections 8192; }}
stream {{ server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {tls.cert}; ssl_certificate_key {tls.key}; ssl_protocols TLSv1.3;
    proxy_pass 127.0.0.1:{back};
}} }}
"""
STUNNEL = """
foreground = yes
syslog = no
debug = err
pid =
[echo]
accept = 127.0.0.1:{port}
connect = 127.0.0.1:{back}
cert = {tls.cert}
key = {tls.key}
sslVersionMin = TLSv1.3
"""


@dataclass(frozen=True)
class Fronted(Server):
    """A terminator, and the echo in the clear that it stands before.

    Both cost CPU; memory is the terminator's alone.
    """

    back: int

    @property
    def pids(self) -> tuple[int, ...]:
        """See `Server`."""
        return (self.pid, self.back)

    def memory(self) -> int:
        """See `Server`."""
        return memory(self.pid)


@dataclass(frozen=True)
class Contender:
    """A server; `start` runs it for a mode of the generator."""

    name: str
    start: Callable[[str], AbstractContextManager[Server]]
    modes: frozenset[str] = MODES
    ours: bool = False
    terminator: bool = False


def contenders(asked: Asked, tls: Development, folder: Path) -> tuple[list[Contender], list[str]]:
    """Everybody who can be measured here, and why others cannot; `folder` is for their files."""
    found = [Contender(BEST, partial(c, tls))]
    left_out: list[str] = []
    for loop in asked.loops:
        found += netkits(tls, loop)
        found.append(Contender(f"plain protocol, {loop}", partial(plain, tls, loop)))
    if lacking := no_terminator():
        left_out.append(f"netkit tls --to: {lacking}")
    else:
        for loop in asked.loops:
            name, start = f"netkit tls --to, {loop}", partial(our_terminator, tls, loop)
            found.append(Contender(name, start, ours=True, terminator=True))
    for contender, program in (
        (Contender("Node", partial(node, tls)), "node"),
        (Contender("nginx", partial(nginx, tls, folder), terminator=True), "nginx"),
        (Contender("stunnel", partial(stunnel, tls, folder), terminator=True), "stunnel"),
        (Contender("openssl s_server", partial(s_server, tls), SHAKES), "openssl"),
    ):
        if shutil.which(program):
            found.append(contender)
        else:
            left_out.append(f"{contender.name}: {program} is not installed")
    left_out.append(
        "openssl s_server, all but handshakes: it serves one connection at a time"
        " and cannot send back what it gets"
    )
    return found, left_out


def netkits(tls: Development, loop: str) -> list[Contender]:
    """The built-in echo, and an author's own protocol and handler."""
    built_in = dict.fromkeys(("echo", "sink", "source"), "echo")
    protocol = {"echo": "Echo", "sink": "Sink", "source": "Source"}
    found = [Contender(f"netkit echo, {loop}", partial(ours, tls, loop, built_in), ECHOES, True)]
    for name, names in (("protocol", protocol), ("streams", {role: role for role in protocol})):
        files = {role: f"benchmarks/peers/tls.py:{it}" for role, it in names.items()}
        start = partial(ours, tls, loop, files)
        found.append(Contender(f"netkit {name}, {loop}", start, ours=True))
    return found


def role_of(mode: str) -> str:
    """What a server does under a mode of the generator."""
    return ROLES.get(mode, "echo")


def c(tls: Development, mode: str) -> AbstractContextManager[Server]:
    """The yardstick."""
    program = compiled("peers/tls_echo.c", *OPENSSL)
    return running(f"tls c {mode}", [program, role_of(mode), tls.cert, tls.key])


def ours(
    tls: Development, loop: str, targets: dict[str, str], mode: str
) -> AbstractContextManager[Server]:
    """``netkit serve`` as shipped."""
    return running(
        f"tls netkit {targets['echo']} {loop} {mode}",
        netkit(targets[role_of(mode)], *listening("tls", loop), *certified(tls), *patient(mode)),
    )


def certified(tls: Development) -> list[str | Path]:
    """netkit's flags for the certificate."""
    return ["--ssl-certfile", tls.cert, "--ssl-keyfile", tls.key]


def patient(mode: str) -> list[str]:
    """Time enough to look at handshakes that would be ended after 10 s."""
    return ["--limit-handshake", "60"] if mode == "half" else []


def plain(tls: Development, loop: str, mode: str) -> AbstractContextManager[Server]:
    """``loop.create_server(…, ssl=…)``."""
    words = [sys.executable, "-m", "benchmarks.peers.tls", "--loop", loop]
    words += ["--serve", role_of(mode).capitalize()]
    words += ["--cert", str(tls.cert), "--key", str(tls.key)]
    return running(f"tls plain {loop} {mode}", words)


def node(tls: Development, mode: str) -> AbstractContextManager[Server]:
    """Node's tls module."""
    words: list[str | Path] = [
        "node",
        "benchmarks/peers/tls_echo.js",
        role_of(mode),
        tls.cert,
        tls.key,
    ]
    return running(f"tls node {mode}", words)


def s_server(tls: Development, mode: str) -> AbstractContextManager[Server]:
    """Openssl's own: it shakes hands, and waits for a line that does not come."""
    port = free_port()
    words = ["openssl", "s_server", "-quiet", "-rev", "-tls1_3", "-accept", f"127.0.0.1:{port}"]
    return running(f"tls s_server {mode}", [*words, "-cert", tls.cert, "-key", tls.key], port)


@contextmanager
def in_clear(mode: str) -> Iterator[Server]:
    """What terminators are put in front of: C, without TLS."""
    program = compiled("peers/tls_echo.c", *OPENSSL)
    with running(f"tls behind {mode}", [program, role_of(mode)]) as server:
        yield server


@contextmanager
def fronted(front: AbstractContextManager[Server], back: Server) -> Iterator[Server]:
    """A terminator that stands before `back`."""
    with front as server:
        yield Fronted(server.pid, server.port, server.log, back.pid)


@contextmanager
def our_terminator(tls: Development, loop: str, mode: str) -> Iterator[Server]:
    """``netkit serve tls --to``."""
    with in_clear(mode) as back:
        words = ["tls", "--to", f"127.0.0.1:{back.port}", *listening("tls", loop)]
        command = netkit(*words, *certified(tls), *patient(mode))
        with fronted(running(f"tls netkit to {loop} {mode}", command), back) as server:
            yield server


@contextmanager
def nginx(tls: Development, folder: Path, mode: str) -> Iterator[Server]:
    """Nginx's stream module."""
    with in_clear(mode) as back:
        port = free_port()
        module = "".join(f"load_module {path};" for path in STREAM_MODULES if path.exists())
        file = folder / f"nginx-{mode}.conf"
        file.write_text(NGINX.format(module=module, port=port, back=back.port, tls=tls))
        words: list[str | Path] = ["nginx", "-p", folder, "-e", "stderr", "-c", file]
        with fronted(running(f"tls nginx {mode}", words, port), back) as server:
            yield server


@contextmanager
def stunnel(tls: Development, folder: Path, mode: str) -> Iterator[Server]:
    """Stunnel: a thread for each connection."""
    with in_clear(mode) as back:
        port = free_port()
        file = folder / f"stunnel-{mode}.conf"
        file.write_text(STUNNEL.format(port=port, back=back.port, tls=tls))
        with fronted(running(f"tls stunnel {mode}", ["stunnel", file], port), back) as server:
            yield server


def free_port() -> int:
    """A port for those who do not say which one they got."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def no_terminator() -> str:
    """Why ``netkit serve tls --to`` cannot be measured; empty if it can."""
    words = [sys.executable, "-m", "netkit", "serve", "tls", "--help"]
    said = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if said.returncode:
        return "this netkit has no `serve tls`"
    return "" if "--to " in said.stdout else "this netkit's `serve tls` has no --to"
