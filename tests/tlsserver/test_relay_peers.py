"""Programs that we did not write, on both sides of the terminator."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from netkit.certificates.develop import development
from tests.peers import peer
from tests.tlsserver.relayed import Client, free_port, port, relaying, upstream

DATA = os.urandom(1024 * 1024)


@asynccontextmanager
async def running(
    *words: str | Path, stdin: int = asyncio.subprocess.DEVNULL
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *words, stdin=stdin,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what it has started holds its pipes
        await process.communicate()


async def up(where: int) -> None:
    """Wait until somebody listens there."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", where)
        except ConnectionRefusedError:
            await asyncio.sleep(0.02)  # nothing tells when a program listens
            continue
        writer.close()
        await writer.wait_closed()
        return


async def output(*words: str | Path, given: bytes | None = None) -> bytes:
    """What a program prints, run to its end."""
    process = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, errors = await process.communicate(given)
    assert process.returncode == 0, errors.decode()
    return out


NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}; proxy_temp_path {folder};
    fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{
        listen 127.0.0.1:{port} proxy_protocol;
        root {folder};
        location /who {{ return 200 "$proxy_protocol_addr $proxy_protocol_port"; }}
    }}
}}
"""


async def test_curl_through_it_to_nginx(tmp_path: Path) -> None:
    there, nginx, curl = free_port(), peer("nginx"), peer("curl")
    (tmp_path / "data").write_bytes(DATA)
    tmp_path.chmod(0o755)
    config = tmp_path / "nginx.conf"
    config.write_text(NGINX.format(folder=tmp_path, port=there))
    async with running(nginx, "-c", config, "-p", tmp_path):
        await up(there)
        async with relaying(f"127.0.0.1:{there}", send_proxy="v2") as server:
            url = f"https://localhost:{port(server)}"
            trust = ("-sSf", "--cacert", development().ca, "--resolve")
            at = f"localhost:{port(server)}:127.0.0.1"
            got = await output(curl, *trust, at, f"{url}/data")
            assert hashlib.sha256(got).digest() == hashlib.sha256(DATA).digest()
            said = await output(curl, *trust, at, f"{url}/who", "--write-out", " %{local_port}")
            address, told, own = said.decode().split()
            assert (address, told) == ("127.0.0.1", own)


async def test_openssl_through_it(tmp_path: Path) -> None:
    async with upstream() as served, relaying(served.to) as server:
        trust = ("-verify_return_error", "-CAfile", development().ca)
        command = (peer("openssl"), "s_client", "-quiet", "-no_ign_eof", *trust)
        at = ("-servername", "localhost", "-connect", f"127.0.0.1:{port(server)}")
        async with running(*command, *at, stdin=asyncio.subprocess.PIPE) as client:
            assert client.stdin
            assert client.stdout
            client.stdin.write(b"hello\n")
            there = await served.accept()
            assert await there.until(6) == b"hello\n"
            there.transport.write(DATA)
            assert await client.stdout.readexactly(len(DATA)) == DATA
            client.stdin.close()
            await there.ended.wait()
            there.end()
            assert await client.wait() == 0


async def test_ncat_through_it() -> None:
    async with upstream() as served, relaying(served.to) as server:
        command = (peer("ncat"), "--ssl", "127.0.0.1", str(port(server)))
        async with running(*command, stdin=asyncio.subprocess.PIPE) as client:
            assert client.stdin
            assert client.stdout
            client.stdin.write(b"hello\n")
            there = await served.accept()
            assert await there.until(6) == b"hello\n"
            there.transport.write(DATA)
            assert await client.stdout.readexactly(len(DATA)) == DATA
            client.stdin.close()
            await there.ended.wait()
            there.end()
            assert await client.wait() == 0


async def test_socat_behind_it() -> None:
    there = free_port()
    listen = f"TCP4-LISTEN:{there},bind=127.0.0.1,reuseaddr,fork"
    async with running(peer("socat"), listen, "SYSTEM:sha256sum"):
        await up(there)
        async with relaying(f"127.0.0.1:{there}") as server:
            client = await Client.connect(server)
            await client.send(DATA)
            await client.end()  # the half-close lets sha256sum answer
            assert (await client.rest()).split()[0].decode() == hashlib.sha256(DATA).hexdigest()
            client.close()
            await server.connections.emptied()


async def test_ncat_behind_it() -> None:
    there = free_port()
    async with running(peer("ncat"), "-l", "127.0.0.1", str(there), "-k", "--exec", "/bin/cat"):
        await up(there)
        async with relaying(f"127.0.0.1:{there}") as server:
            client = await Client.connect(server)
            little = DATA[:16_384]  # of more ncat and its command wait for each other
            await client.send(little)
            assert await client.exactly(len(little)) == little
            await client.end()
            assert await client.rest() == b""
            client.close()
            await server.connections.emptied()


STUNNEL = """
foreground = yes
pid =
debug = 3
[service]
client = {client}
accept = 127.0.0.1:{accept}
connect = 127.0.0.1:{connect}
{more}
"""


async def test_stunnel_in_front_of_us(tmp_path: Path) -> None:
    """stunnel as the client: plain in, TLS to the terminator, which it verifies."""
    accept, config = free_port(), tmp_path / "stunnel.conf"
    async with upstream() as served, relaying(served.to) as server:
        trust = f"CAfile = {development().ca}\nverifyChain = yes\ncheckHost = localhost"
        config.write_text(
            STUNNEL.format(client="yes", accept=accept, connect=port(server), more=trust)
        )
        async with running(peer("stunnel4"), config):
            await up(accept)  # which comes through to the upstream
            await (await served.accept()).ended.wait()
            served.all[0].end()
            reader, writer = await asyncio.open_connection("127.0.0.1", accept)
            writer.write(DATA)
            writer.write_eof()
            there = await served.accept()
            await there.ended.wait()
            assert there.got == DATA
            there.transport.write(DATA)
            there.end()
            assert await reader.read() == DATA
            writer.close()
            await writer.wait_closed()
            await server.connections.emptied()


async def test_stunnel_behind_us(tmp_path: Path) -> None:
    """stunnel as the server: plain to us, TLS to stunnel, which we verify."""
    accept, config = free_port(), tmp_path / "stunnel.conf"
    made = development()
    async with upstream() as served:
        pair = f"cert = {made.cert}\nkey = {made.key}"
        config.write_text(
            STUNNEL.format(client="no", accept=accept, connect=served.port, more=pair)
        )
        async with (
            running(peer("stunnel4"), config),
            relaying(f"localhost:{accept}", bind="tcp://127.0.0.1:0", originate=True) as server,
        ):
            await up(accept)
            reader, writer = await asyncio.open_connection("127.0.0.1", port(server))
            writer.write(DATA)
            there = await served.accept()
            assert await there.until(len(DATA)) == DATA
            there.transport.write(DATA)
            assert await reader.readexactly(len(DATA)) == DATA
            writer.write_eof()
            await there.ended.wait()
            there.end()
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()
            await server.connections.emptied()


async def test_our_two_halves_back_to_back() -> None:
    async with upstream() as served, relaying(served.to) as inner:
        to = f"localhost:{port(inner)}"
        async with relaying(to, bind="tcp://127.0.0.1:0", originate=True) as outer:
            reader, writer = await asyncio.open_connection("127.0.0.1", port(outer))
            writer.write(DATA)
            writer.write_eof()
            there = await served.accept()
            await there.ended.wait()
            assert there.got == DATA
            there.transport.write(DATA)
            there.end()
            assert await reader.read() == DATA
            writer.close()
            await writer.wait_closed()
            await outer.connections.emptied()
