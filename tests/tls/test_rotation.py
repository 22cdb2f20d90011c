"""Certificates are replaced under load: no handshake fails, and no connection breaks."""

from __future__ import annotations

import asyncio
import shutil
import signal
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509

from netkit.certificates.issuing import Issued, issue
from tests.runtime.process import LOOPS, ServerProcess, serving
from tests.runtime.talkers import SecureTalker
from tests.workers.crew import workers as processes

pytestmark = [
    pytest.mark.asyncio(loop_factories=["asyncio"]),
    pytest.mark.parametrize("workers", [1, 2]),
    pytest.mark.parametrize("loop", LOOPS),
]

STAY, COME_AND_GO = 4, 4
"""Clients that keep their connection, and that make one after the other."""
BOUND = 10.0
"""Seconds within which a replaced pair is served; netkit looks once a second."""
PACE = 0.02
"""Seconds between two lines of a client."""
WINDOW = 2.5
"""Seconds in which a complaint that is made at each look would come twice."""


@dataclass
class Load:
    """Clients that verify the server, and number their lines; any fault ends the test."""

    port: int
    context: ssl.SSLContext
    shaken: int = 0
    """Handshakes so far."""
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def caller(self) -> SecureTalker:
        talker = await SecureTalker.connect(self.port)
        try:
            await talker.secure(self.context)
        except BaseException:  # a cancellation too
            talker.sock.close()
            raise
        self.shaken += 1
        return talker

    async def visit(self, lines: float) -> None:
        """Connect, have so many lines echoed or all until it is over, and leave."""
        talker = await self.caller()
        try:
            number = 0
            while number < lines and not self.over.is_set():
                await said(talker, b"%d\n" % number)
                number += 1
                await asyncio.sleep(PACE)  # the pace of the load
        finally:
            talker.sock.close()

    async def come_and_go(self) -> None:
        while not self.over.is_set():
            await self.visit(3)

    async def serials(self, count: int = 10) -> set[int]:
        """Which certificates so many newcomers see."""
        found = set()
        for _ in range(count):
            talker = await self.caller()
            certificate = talker.tls.getpeercert()
            assert certificate
            found.add(int(str(certificate["serialNumber"]), 16))
            talker.sock.close()
        return found

    async def more(self, handshakes: int = 25) -> None:
        """Wait until so many more have come."""
        wanted = self.shaken + handshakes
        while self.shaken < wanted:
            await asyncio.sleep(0.01)  # they have no event of their own


async def said(talker: SecureTalker, line: bytes) -> None:
    await talker.write(line)
    answer = b""
    while len(answer) < len(line):
        data = await talker.read()
        assert data, "the server ended the connection"
        answer += data
    assert answer == line


@asynccontextmanager
async def loaded(server: ServerProcess, ca: Path) -> AsyncIterator[Load]:
    """Keep a server busy for the length of the block; raises if any client fails."""
    load = Load(server.ports[0], ssl.create_default_context(cafile=ca))
    early = await SecureTalker.connect(load.port)  # it shakes hands with the last certificate
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(STAY):
                group.create_task(load.visit(float("inf")))
            for _ in range(COME_AND_GO):
                group.create_task(load.come_and_go())
            await load.more()
            yield load
            await load.more()
            load.over.set()
        await early.secure(load.context)
        await said(early, b"patience\n")
    finally:
        early.sock.close()


def serial(pair: Issued) -> int:
    return x509.load_pem_x509_certificate(pair.cert.read_bytes()).serial_number


def pairs(folder: Path, count: int) -> list[Issued]:
    """So many pairs for localhost under one CA, in folders of their own."""
    made = []
    for number in range(count):
        issued = issue(["localhost"], folder=folder)
        where = folder / f"pair{number}"
        where.mkdir()
        made.append(
            Issued(
                Path(shutil.copy(issued.cert, where / "tls.crt")),
                Path(shutil.copy(issued.key, where / "tls.key")),
            )
        )
    return made


@asynccontextmanager
async def rotating(
    loop: str, workers: int, cert: Path, ca: Path
) -> AsyncIterator[tuple[ServerProcess, Load]]:
    words: list[object] = ["echo", "--bind", "tls://127.0.0.1:0", "--ssl-certfile", cert]
    words += ["--ssl-keyfile", cert.with_suffix(".key"), "--workers", workers]
    words += ["--timeout-graceful-shutdown", 100, "--limit-handshake", 100, "--warn-stall", 0]
    async with serving(*words, loop=loop) as server:
        async with loaded(server, ca) as load:
            yield server, load
        assert not server.complaints()


def swapped(link: Path, to: Path) -> None:
    """Point a symbolic link elsewhere, in one step."""
    draft = link.with_name("draft")
    draft.symlink_to(to)
    draft.replace(link)


def put(by: str, source: Path, to: Path) -> None:
    """Replace one file."""
    if by == "link":
        swapped(to, source)
    else:
        shutil.copyfile(source, to)


async def test_by_a_swapped_folder(loop: str, workers: int, own_certificates: Path) -> None:
    """As Kubernetes does: the folder's link is swapped, so both files change at once."""
    first, *others = pairs(own_certificates, 3)
    current = own_certificates / "current"
    current.symlink_to(first.cert.parent)
    cert, ca = current / "tls.crt", own_certificates / "ca.pem"
    async with rotating(loop, workers, cert, ca) as (server, load):
        assert await load.serials() == {serial(first)}
        for count, pair in enumerate(others, 1):
            swapped(current, pair.cert.parent)
            async with asyncio.timeout(BOUND):
                await server.logged("now serving the new certificate", count * workers)
            assert await load.serials() == {serial(pair)}


async def test_one_file_after_the_other(loop: str, workers: int, own_certificates: Path) -> None:
    """As `cp` and certbot do; here long enough apart for everybody to see the mismatch."""
    first, *others = pairs(own_certificates, 4)
    ca, cert = own_certificates / "ca.pem", own_certificates / "server.crt"
    put("copy", first.key, cert.with_suffix(".key"))
    put("copy", first.cert, cert)
    before = serial(first)
    async with rotating(loop, workers, cert, ca) as (server, load):
        for count, (by, pair) in enumerate(zip(("copy", "link", "link"), others, strict=True), 1):
            put(by, pair.key, cert.with_suffix(".key"))
            async with asyncio.timeout(BOUND):
                lines = await server.logged("does not belong", count * workers)
            assert all("the certificate loaded before stays in force" in line for line in lines)
            if count == 1:
                await asyncio.sleep(WINDOW)  # the time of observation, waited for nothing
            await load.more()
            assert await load.serials() == {before}
            assert len(await server.logged("does not belong")) == count * workers
            put(by, pair.cert, cert)
            async with asyncio.timeout(BOUND):
                await server.logged("now serving the new certificate", count * workers)
            before = serial(pair)
            assert await load.serials() == {before}


async def test_by_hup(loop: str, workers: int, own_certificates: Path) -> None:
    first, *others = pairs(own_certificates, 4)
    current = own_certificates / "current"
    current.symlink_to(first.cert.parent)
    cert, ca = current / "tls.crt", own_certificates / "ca.pem"
    done = "reload: " if workers == 1 else "reloaded 2 workers"
    async with rotating(loop, workers, cert, ca) as (server, load):
        for count, pair in enumerate(others, 1):
            swapped(current, pair.cert.parent)
            server.signal(signal.SIGHUP)
            await server.logged(done, count)
            assert await load.serials() == {serial(pair)}
        assert not server.complaints("warning", "error")


async def test_a_hup_with_a_pair_that_does_not_match(
    loop: str, workers: int, own_certificates: Path
) -> None:
    first, second = pairs(own_certificates, 2)
    cert, ca = own_certificates / "server.crt", own_certificates / "ca.pem"
    shutil.copyfile(first.key, cert.with_suffix(".key"))
    shutil.copyfile(first.cert, cert)
    async with rotating(loop, workers, cert, ca) as (server, load):
        before = processes(server)
        shutil.copyfile(second.key, cert.with_suffix(".key"))
        server.signal(signal.SIGHUP)
        if workers == 1:
            await server.logged("the certificate loaded before stays in force")
        else:
            await server.logged("reload given up: the workers that serve go on")
            # The worker that could not start, and each that serves, at its own look.
            (line,) = await server.logged("cannot be replaced")
            assert "does not belong" in line
            async with asyncio.timeout(BOUND):
                await server.logged("the certificate loaded before stays in force", workers)
        await load.more()
        assert await load.serials() == {serial(first)}
        assert processes(server) == before
        shutil.copyfile(second.cert, cert)
        server.signal(signal.SIGHUP)
        await server.logged("reload: " if workers == 1 else "reloaded 2 workers", 1)
        async with asyncio.timeout(BOUND):
            while await load.serials() != {serial(second)}:
                pass
        assert len(await server.logged("does not belong")) == (1 if workers == 1 else 3)
