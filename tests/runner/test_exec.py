"""``netkit exec`` as a person runs it, against a server in this process or one of its own."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import socket
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

import pytest

import netkit
from netkit.certificates.issuing import issue
from netkit.options import TLS
from netkit.servers.runner import Runner
from tests.forked import signalled
from tests.runner.executing import CAT, ECHO, at, done, executing
from tests.runner.talking import listed, running, shell
from tests.runtime.process import COMMAND, LOOPS, serving

pytestmark = [
    pytest.mark.asyncio(loop_factories=["asyncio"]),  # of the test itself, and its server
    pytest.mark.parametrize("loop", LOOPS),
]


async def test_streams_and_status_are_the_programs(tmp_path: Path, loop: str) -> None:
    path = listed(tmp_path, shell("both", "cat; echo err >&2; exit 7", "stdin = true\n") + ECHO)
    async with running(path) as server:
        assert await done(at(server), "both", loop=loop, given=b"in\n") == (b"in\n", "err\n", 7)
        assert await done(at(server), "echo", "a b", "3", loop=loop) == (b"a b 3\n", "", 0)
        named = await done("--set", "count=2", at(server), "echo", "--set", loop=loop)
        assert named == (b"", "netkit: error: text: begins with '-', which it may not\n", 255)
        named = await done("--set", "count=2", "--set", "text=x=y", at(server), "echo", loop=loop)
        assert named == (b"x=y 2\n", "", 0)


async def test_many_bytes_there_and_back(tmp_path: Path, loop: str) -> None:
    data = os.urandom(8 * 1024 * 1024)
    async with running(listed(tmp_path, CAT)) as server:
        out, err, status = await done(at(server), "cat", loop=loop, given=data)
    assert hashlib.sha256(out).digest() == hashlib.sha256(data).digest()
    assert (err, status) == ("", 0)


async def test_input_that_nobody_reads_is_no_error(tmp_path: Path, loop: str) -> None:
    path = listed(tmp_path, shell("head", "head -c 3", "stdin = true\n") + ECHO)
    async with running(path) as server:
        out, err, status = await done(at(server), "head", loop=loop, given=bytes(4_000_000))
        assert (out, err, status) == (bytes(3), "", 0)
        out, err, status = await done(at(server), "echo", "x", loop=loop, given=bytes(100_000))
        assert (out, err, status) == (b"x 1\n", "", 0)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_signals_are_passed_on(
    tmp_path: Path, loop: str, number: signal.Signals, code: int
) -> None:
    script = "trap 'echo heard; trap - INT TERM; kill -$SIG $$' INT TERM; echo go; "
    script = script.replace("$SIG", number.name.removeprefix("SIG"))
    path = listed(tmp_path, shell("trap", script + "while :; do sleep 0.05; done"))
    async with (
        running(path) as server,
        executing(at(server), "trap", loop=loop) as process,
    ):
        assert process.stdout is not None
        assert await process.stdout.readline() == b"go\n"
        signalled(process, number)
        assert await process.stdout.read() == b"heard\n"
        assert await process.wait() == code


async def test_a_second_one_ends_us(tmp_path: Path, loop: str) -> None:
    script = "trap 'echo heard' INT; echo go; while :; do sleep 0.05; done"
    path = listed(tmp_path, shell("trap", script))
    async with (
        running(path) as server,
        executing(at(server), "trap", loop=loop) as process,
    ):
        assert process.stdout is not None
        assert await process.stdout.readline() == b"go\n"
        signalled(process, signal.SIGINT)
        assert await process.stdout.readline() == b"heard\n"
        signalled(process, signal.SIGINT)
        assert await process.wait() == -signal.SIGINT
        assert isinstance(server.service, Runner)
        await server.service._house.runs.close_door()


async def test_what_ended_it_is_told(tmp_path: Path, loop: str) -> None:
    path = listed(
        tmp_path,
        shell("slow", "exec sleep 60", "timeout = 0.2\n")
        + shell("much", "exec cat /dev/zero", "output = 10\n")
        + shell("dies", "kill -SEGV $$"),
    )
    async with running(path) as server:
        out, err, status = await done(at(server), "slow", loop=loop)
        assert (out, err, status) == (
            b"",
            "netkit: slow: ended by its time limit, after 0 s\n",
            143,
        )
        out, err, status = await done(at(server), "much", loop=loop)
        assert (out, err) == (bytes(10), "netkit: much: ended: it wrote more than it may\n")
        assert await done(at(server), "dies", loop=loop) == (b"", "", 139)


async def test_refusals_are_one_line(tmp_path: Path, loop: str) -> None:
    async with running(listed(tmp_path, ECHO)) as server:
        for words, line in {
            ("none",): "'none' is no command, or it is not for you",
            ("echo",): "text is missing: give a text like .*",
            ("echo", "x", "1e3"): "count: give a whole number from 0 to 999999999999999999",
        }.items():
            out, err, status = await done(at(server), *words, loop=loop)
            assert (out, err, status) == (b"", f"netkit: error: {line}\n", 255)
        out, err, status = await done("-t", at(server), "echo", "x", loop=loop)
        assert (err, status) == ("netkit: error: echo may not have a terminal\n", 255)


async def test_a_server_that_dies(tmp_path: Path, loop: str) -> None:
    path = listed(tmp_path, shell("sleep", "echo go; exec sleep 60"))
    async with serving("runner", "--allow", path, "--port", 0, loop=loop) as server:
        async with executing(f"127.0.0.1:{server.ports[0]}", "sleep", loop=loop) as process:
            assert process.stdout is not None
            assert await process.stdout.readline() == b"go\n"
            server.signal(signal.SIGKILL)
            assert process.stderr is not None
            line = (await process.stderr.read()).decode()
            assert await process.wait() == 255
        assert "lost" in line or "reset" in line
        assert line.count("\n") == 1


async def test_a_list_is_replaced_while_the_server_runs(tmp_path: Path, loop: str) -> None:
    path = listed(tmp_path, ECHO)
    async with serving("runner", "--allow", path, "--port", 0, loop=loop) as server:
        where = f"127.0.0.1:{server.ports[0]}"
        listed(tmp_path, ECHO.replace("commands.echo", "commands.other"))
        server.signal(signal.SIGHUP)
        await server.logged("now in force, commands: 1")
        listed(tmp_path, "[commands.evil]\n")
        server.signal(signal.SIGHUP)
        (line,) = await server.logged("the list before it stays in force")
        assert "line 1: commands.evil.program: is missing" in line
        assert (await done(where, "echo", "x", loop=loop))[2] == 255
        assert await done(where, "other", "x", loop=loop) == (b"x 1\n", "", 0)
        assert await server.stop() == -signal.SIGTERM


async def test_nobody_there(loop: str) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{sock.getsockname()[1]}"
        _, err, status = await done(where, "echo", loop=loop)
    assert status == 255
    assert err.startswith("netkit: error: nothing listens on tcp://127.0.0.1")


@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0\0\0\5\x07\0\0\0\0"])
async def test_a_server_of_another_kind(loop: str, greeting: bytes) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(greeting)

    async with netkit.serve(handle) as server:
        _, err, status = await done(at(server), "echo", loop=loop)
    assert status == 255
    assert "is no runner" in err


async def test_output_that_nobody_reads_any_more(tmp_path: Path, loop: str) -> None:
    path = listed(tmp_path, shell("flood", "exec cat /dev/zero", "output = 9_000_000_000\n"))
    reading, writing = os.pipe()
    async with running(path) as server:
        async with executing(at(server), "flood", loop=loop, stdout=writing) as process:
            os.close(writing)
            assert await asyncio.to_thread(os.read, reading, 1) == b"\0"
            os.close(reading)
            assert await process.wait() == -signal.SIGPIPE
        assert isinstance(server.service, Runner)
        await server.service._house.runs.close_door()


async def test_a_detached_job(tmp_path: Path, loop: str) -> None:
    path = listed(
        tmp_path,
        shell("long", "echo out; echo err >&2; exec sleep 60", "detach = true\n")
        + shell("short", "echo done; exit 3", "detach = true\n"),
    )
    async with running(path) as server:
        out, err, status = await done("--detach", at(server), "long", loop=loop)
        number = out.decode().strip()
        assert (len(number), err, status) == (16, "", 0)
        async with executing("--attach", number, at(server), loop=loop) as process:
            assert process.stdout is not None
            assert await process.stdout.readline() == b"out\n"
            signalled(process, signal.SIGINT)  # ends the watching alone
            assert await process.wait() == -signal.SIGINT
        out, _, _ = await done("--list", at(server), loop=loop)
        assert out.startswith(number.encode())
        assert b" running " in out
        assert await done("--kill", number, at(server), loop=loop) == (b"", "", 0)
        out, err, status = await done("--attach", number, at(server), loop=loop)
        assert (out, status) == (b"out\n", 143)
        assert err == f"err\nnetkit: {number}: ended by its caller\n"
        out, _, _ = await done("-d", at(server), "short", loop=loop)
        out, _, status = await done("--attach", out.decode().strip(), at(server), loop=loop)
        assert (out, status) == (b"done\n", 3)
        out, err, status = await done("--attach", "0" * 16, at(server), loop=loop)
        assert (out, status) == (b"", 255)
        assert "no detached job of yours" in err


async def test_with_certificates(tmp_path: Path, loop: str) -> None:
    alice, bob, ours = (
        issue(["alice"], client=True), issue(["bob"], client=True), issue(["localhost"]),
    )  # fmt: skip
    ca = ours.cert.parent.parent / "ca.pem"
    tls = TLS(ssl_certfile=(ours.cert,), ssl_keyfile=(ours.key,), ssl_ca_certs=ca)
    service = Runner(allow=listed(tmp_path, ECHO.replace("loopback", "cn:alice")))
    async with netkit.serve(service, bind="tls://127.0.0.1:0", tls=tls) as server:
        where = at(server).replace("127.0.0.1", "localhost")
        asks = ("--tls", "--ca-certs", ca)
        alices = (*asks, "--cert", alice.cert, "--key", alice.key, where, "echo", "hi")
        assert await done(*alices, loop=loop) == (b"hi 1\n", "", 0)
        bobs = (*asks, "--cert", bob.cert, "--key", bob.key, where, "echo", "hi")
        _, err, status = await done(*bobs, loop=loop)
        assert (err, status) == (
            "netkit: error: 'echo' is no command, or it is not for you\n", 255,
        )  # fmt: skip
        _, err, status = await done(*asks, where, "echo", "hi", loop=loop)
        assert status == 255
        assert "--cert" in err
        assert err.count("\n") == 1


async def test_over_a_unix_socket(tmp_path: Path, loop: str) -> None:
    path = listed(tmp_path, ECHO.replace("loopback", f"uid:{os.getuid()}"))
    async with running(path, bind=f"unix:{tmp_path}/s"):
        assert await done(f"unix:{tmp_path}/s", "echo", "hi", loop=loop) == (b"hi 1\n", "", 0)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "Missing argument"),
        (("localhost",), "say one thing to do"),
        (("--list", "localhost", "echo"), "say one thing to do"),
        (("--attach", "1", "--kill", "2", "localhost"), "say one thing to do"),
        (("--detach", "--list", "localhost"), "are for a command"),
        (("-d", "-t", "localhost", "echo"), "nobody would sit at it"),
        (("--set", "x", "localhost", "echo"), "write it like --set count=3"),
        (("--set", "x=1", "--set", "x=2", "localhost", "echo"), "given twice"),
        (("--cert", "x.pem", "localhost", "echo"), "need --tls"),
        (("udp://localhost:1", "echo"), "a runner is at HOST:PORT"),
        (("local host", "echo"), "not a host name"),
        (("--wait", "0", "localhost", "echo"), "--wait 0"),
        (("localhost", "echo", b"\xff"), "is not UTF-8"),
    ],
)
async def test_usage(loop: str, words: tuple[str, ...], why: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "exec", "--loop", loop, *words, stdin=DEVNULL, stderr=PIPE
    )
    _, err = await process.communicate()
    assert process.returncode == 2
    assert why in err.decode()
    assert err.count(b"\n") == 1
