"""Every way that we could think of to make the server run what it may not, or too much of it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
from contextlib import suppress
from pathlib import Path

import pytest

from netkit.jobs.frames import LONGEST, Kind
from netkit.jobs.messages import Attach, Kill, Terminal, encode
from netkit.servers.runner import Runner
from netkit.servers.runner.framed import MOST_CHANNELS, MOST_REFUSALS, WINDOW
from tests.runner.talking import HERE, audited, beside, listed, running, shell, talker

ENV = f'[commands.env]\nprogram = "/usr/bin/env"\nstdin = true\ndetach = true\n{HERE}'
SHOW = f"""[commands.show]
program = "/usr/bin/printf"
arguments = ["<%s>", "{{text}}", "--text={{text}}", "end"]
{HERE}
[commands.show.parameters]
text = {{ pattern = "[^/]*" }}
"""


def reader(root: Path, more: str = "") -> str:
    return f'[commands.read]\nprogram = "/bin/cat"\narguments = ["{{file}}"]\n{HERE}\
parameters.file = {{ root = "{root}" {more} }}\n'


@pytest.mark.parametrize(
    "text",
    ["; id", "$(id)", "`id`", "a b", "&& id", "| id", "\n id", "'", '"', "*", "{text}", "<>"],
)
async def test_no_shell_sees_an_argument(tmp_path: Path, text: str) -> None:
    async with running(listed(tmp_path, SHOW)) as server, talker(server) as one:
        await one.start("show", text)
        out, _, end = await one.end()
    assert out.decode() == f"<{text}><--text={text}><end>"
    assert end.status == 0


@pytest.mark.parametrize("text", ["-n", "--help", "-", "a\0b", "x" * 5000])
async def test_options_nuls_and_floods_are_no_arguments(tmp_path: Path, text: str) -> None:
    async with running(listed(tmp_path, SHOW)) as server, talker(server) as one:
        await one.start("show", text)
        assert (await one.error()).startswith("argument: text: ")
        await one.start("show", job=2, named={"text": text})
        assert (await one.error(2)).startswith("argument: text: ")


@pytest.mark.parametrize(
    "name",
    ["", "/bin/sh", "../sh", "sh", "show ", "SHOW", "show\0", "show;id", "commands", "x" * 999],
)
async def test_only_names_of_the_list_are_run(tmp_path: Path, name: str) -> None:
    async with running(listed(tmp_path, SHOW)) as server, talker(server) as one:
        await one.start(name, "x")
        assert (await one.error()).startswith("denied")


async def test_without_a_list_nothing_is_run() -> None:
    async with running(None) as server, talker(server) as one:
        await one.start("show", "x")
        assert (await one.error()).startswith("denied")


@pytest.mark.parametrize("path", ["/etc/passwd", "../secret", "link", "sub/../../secret", "dir/x"])
async def test_no_file_outside_a_root_is_read(tmp_path: Path, path: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret").write_text("secret")
    (root / "link").symlink_to("../secret")
    (root / "dir").symlink_to("/etc")
    async with running(listed(tmp_path, reader(root))) as server, talker(server) as one:
        await one.start("read", path)
        assert (await one.error()).startswith("argument: file: give a path")


async def test_a_link_that_is_swapped_all_the_time_never_shows_the_secret(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "real").write_text("public")
    (tmp_path / "secret").write_text("secret")
    inside, outside = root / "inside", root / "outside"
    seen = set()
    async with running(listed(tmp_path, reader(root))) as server, talker(server) as one:
        for number in range(1, 21):
            inside.symlink_to("real")
            outside.symlink_to("../secret")
            await one.start("read", "link", job=number)
            for target in (inside, outside):  # under its feet
                target.rename(root / "link")
            while True:
                frame = await one.frame()
                if frame.kind is Kind.STDOUT:
                    seen.add(frame.payload)
                if frame.kind in (Kind.EXIT, Kind.ERROR):
                    break
    assert seen <= {b"public"}


async def test_the_environment_is_the_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_SERVER", "1")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/tmp")
    async with running(listed(tmp_path, ENV)) as server, talker(server) as one:
        await one.start("env")
        out, _, _ = await one.end()
    assert out == b"PATH=/usr/local/bin:/usr/bin:/bin\n"


@pytest.mark.parametrize(
    "smuggled",
    [
        {"environment": {"LD_PRELOAD": "/tmp/x.so"}}, {"env": {"A": "b"}}, {"cwd": "/"},
        {"user": "root"}, {"program": "/bin/sh"}, {"words": ["/bin/sh"]}, {"timeout": 1e9},
        {"callers": ["*"]}, {"shell": True}, {"terminal": {"rows": 1, "columns": 1, "env": "x"}},
    ],
)  # fmt: skip
async def test_what_a_start_may_not_say_ends_the_connection(
    tmp_path: Path, smuggled: dict[str, object]
) -> None:
    async with running(listed(tmp_path, ENV)) as server, talker(server) as one:
        await one.send(Kind.START, json.dumps({"name": "env", **smuggled}).encode())
        assert "unknown key" in await one.error(0)
        assert await one.closed()
        assert server.service.figures()["runner_jobs_total"] == 0


@pytest.mark.parametrize("name", ["xterm\0LD_PRELOAD=x", "x" * 65, "a b", "../x", "-x", "x\ny"])
async def test_a_terminals_name_is_a_name(tmp_path: Path, name: str) -> None:
    path = listed(tmp_path, shell("tty", "echo $TERM", "terminal = true\n"))
    async with running(path) as server, talker(server) as one:
        await one.start("tty", terminal=Terminal(24, 80, name))
        assert (await one.error()).startswith("argument")
        await one.start("tty", terminal=Terminal(-1, 70_000))
        assert (await one.error()).startswith("argument")


async def test_what_is_not_granted(tmp_path: Path) -> None:
    path = listed(tmp_path, shell("plain", "cat; echo end"))
    async with running(path) as server, talker(server) as one:
        await one.start("plain", terminal=Terminal(24, 80))
        assert "may not have a terminal" in await one.error()
        await one.start("plain", detach=True)
        assert "may not be detached" in await one.error()
        assert not (await one.started("plain", stdin=True)).stdin
        await one.send(Kind.STDIN, b"smuggled")
        assert (await one.end())[0] == b"end\n"


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01\x00\x06\x02\0\0\0\1",  # a frame that is one byte too long
        b"\x00\xff\xff\xff",
        b"\0\0\0\0",
        b"\0\0\0\5\x00\0\0\0\1",
        b"\0\0\0\5\xff\0\0\0\1",
        b"\0\0\0\5\2\xff\xff\xff\xff",
        b"\0\0\0\5\1\0\0\0\0",  # a second HELLO
        b"\0\0\0\5\2\0\0\0\1",  # START without a message
        b"\0\0\0\5\4\0\0\0\1",  # STARTED, which is the server's
        b"\0\0\0\7\2\0\0\0\0{}",
        b"\0\0\0\6\x0b\0\0\0\1X",  # a signal that is none
        b"\0\0\0\6\x0c\0\0\0\1X",  # a size that is none
    ],
)
async def test_frames_that_are_none_end_the_connection(tmp_path: Path, data: bytes) -> None:
    async with running(listed(tmp_path, ENV)) as server:
        async with talker(server) as one:
            one.writer.write(data)
            assert (await one.error(0)).startswith("protocol: ")
            assert await one.closed()
        async with talker(server) as other:  # and nobody else's
            await other.start("env")
            assert (await other.end())[2].status == 0


async def test_nothing_goes_before_hello(tmp_path: Path) -> None:
    async with running(listed(tmp_path, ENV)) as server:
        async with talker(server, greeted=False) as one:
            await one.start("env")
            assert "START before HELLO" in await one.error(0)
        for payload in (b'{"versions":[2]}', b'{"versions":[]}'):
            async with talker(server, greeted=False) as one:
                await one.send(Kind.HELLO, payload, 0)
                assert (await one.error(0)).startswith("version")


@pytest.mark.parametrize("name", ["STOP", "CONT", "SEGV", "9", "", "INT\0", "SIGINT", "TERM" * 99])
async def test_signals_are_few(tmp_path: Path, name: str) -> None:
    async with running(listed(tmp_path, ENV)) as server, talker(server) as one:
        await one.send(Kind.SIGNAL, name.encode())
        assert "SIGNAL" in await one.error(0)


async def test_input_beyond_its_credit_ends_the_connection(tmp_path: Path) -> None:
    path = listed(tmp_path, shell("slow", "exec sleep 60", "stdin = true\n"))
    async with running(path) as server, talker(server) as one:
        await one.started("slow", stdin=True)
        for _ in range(WINDOW // LONGEST + 3):
            one.writer.write(struct.pack("!IBI", 5 + LONGEST, Kind.STDIN, 1) + bytes(LONGEST))
        assert "more data than was granted" in await one.error(0)


async def test_input_out_of_turn_ends_the_connection(tmp_path: Path) -> None:
    path = listed(tmp_path, shell("cat", "exec cat", "stdin = true\n") + ENV)
    async with running(path, max_jobs=1) as server, talker(server) as one:
        await one.started("cat", stdin=True)
        await one.start("cat", stdin=True, job=2)
        await one.until(Kind.QUEUED, 2)
        await one.send(Kind.STDIN, b"early", 2)
        assert "between STARTED and STDIN_END" in await one.error(0)


async def test_too_many_jobs_on_one_connection(tmp_path: Path) -> None:
    path = listed(tmp_path, shell("sleep", "exec sleep 60"))
    async with (
        running(path, max_jobs=2, max_queue=999, max_queue_per_caller=999) as server,
        talker(server) as one,
    ):
        for number in range(1, MOST_CHANNELS + 2):
            await one.start("sleep", job=number)
        assert (await one.error(MOST_CHANNELS + 1)).startswith("limit")


async def test_a_job_number_that_is_in_use(tmp_path: Path) -> None:
    path = listed(tmp_path, shell("sleep", "exec sleep 60"))
    async with running(path) as server, talker(server) as one:
        await one.started("sleep")
        await one.start("sleep")
        assert "not in use" in await one.error(0)


async def test_too_many_jobs_of_one_caller(tmp_path: Path) -> None:
    path = listed(tmp_path, shell("sleep", "exec sleep 60"))
    async with (
        running(path, max_jobs_per_caller=1, max_queue_per_caller=1) as server,
        talker(server) as one,
        talker(server) as two,
    ):
        await one.started("sleep")
        await one.start("sleep", job=2)
        await one.until(Kind.QUEUED, 2)
        await two.start("sleep")
        assert (await two.error()).startswith("busy")


async def test_too_many_detached_jobs(tmp_path: Path) -> None:
    path = listed(tmp_path, shell("sleep", "exec sleep 60", "detach = true\n"))
    async with running(path, max_detached_per_caller=2) as server, talker(server) as one:
        first = await one.started("sleep", detach=True)
        await one.started("sleep", job=2, detach=True)
        await one.start("sleep", job=3, detach=True)
        assert "you have too many detached jobs" in await one.error(3)
        await one.send(Kind.LEAVE)
        await one.kill(first.id, 4)
        await one.started("sleep", job=3, detach=True)
        server.hurry()


async def test_who_tries_things_out_is_sent_away(tmp_path: Path) -> None:
    audit = tmp_path / "audit"
    async with running(listed(tmp_path, ENV), audit=audit) as server, talker(server) as one:
        for number in range(1, MOST_REFUSALS + 1):
            await one.start("none", job=number)
            assert (await one.error(number)).startswith("denied")
        assert (await one.error(0)).startswith("limit")
        assert await one.closed()
    assert len(audited(audit)) == MOST_REFUSALS


async def test_jobs_of_others_are_not_there(tmp_path: Path) -> None:
    path = listed(tmp_path, shell("sleep", "exec sleep 60", "detach = true\n").replace(
        '"loopback"', f'"loopback", "uid:{os.getuid()}"'))  # fmt: skip
    async with running(path) as server:
        async with talker(server) as one:
            number = (await one.started("sleep", detach=True)).id
            assert len(number) == 16
        service = server.service
        assert isinstance(service, Runner)
        async with beside(tmp_path, service) as other:
            await other.send(Kind.LIST, job=5)
            assert (await other.until(Kind.LISTED, 5)).payload == b""
            await other.attach(number)
            mine = await other.error()
            await other.send(Kind.KILL, encode(Kill(number)), 2)
            assert await other.error(2) == mine
            await other.send(Kind.ATTACH, encode(Attach("0" * 16)), 3)
            assert (await other.error(3)).replace("0" * 16, number) == mine
        async with talker(server) as one:
            await one.kill(number)


async def test_a_list_that_is_replaced_by_a_broken_one(tmp_path: Path) -> None:
    path = listed(tmp_path, ENV)
    async with running(path) as server, talker(server) as one:
        service = server.service
        assert isinstance(service, Runner)
        for broken in (ENV + shell("evil", "id") + "[", "[commands.evil]\nprogram = 'sh'\n"):
            listed(tmp_path, broken)
            for _ in range(3):
                await service._list.look()
            await one.start("evil")
            assert (await one.error()).startswith("denied")
            await one.start("env")
            assert (await one.end())[2].status == 0
        path.chmod(0o666)  # whoever can write to it could say what runs
        listed(tmp_path, ENV.replace("commands.env", "commands.evil")).chmod(0o666)
        for _ in range(3):
            await service._list.look()
        await one.start("evil")
        assert (await one.error()).startswith("denied")
        listed(tmp_path, ENV.replace("commands.env", "commands.good"))
        await service._list.look()
        await service._list.look()
        await one.start("env")
        assert (await one.error()).startswith("denied")
        await one.start("good")
        assert (await one.end())[2].status == 0


async def test_a_client_that_never_reads_holds_nothing_up(tmp_path: Path) -> None:
    path = listed(tmp_path, shell("flood", "exec cat /dev/zero", "output = 9_000_000_000\n") + ENV)
    async with running(path) as server, talker(server) as one, talker(server) as other:
        await one.start("flood")
        await one.send(Kind.CREDIT, (2**31 - 1 - 262_144).to_bytes(4, "big"))
        for number in range(2, 12):
            await other.start("env", job=number)
            assert (await other.end(number))[2].status == 0
        one.writer.transport.abort()


async def test_a_flood_of_pings_that_nobody_reads_is_bounded(tmp_path: Path) -> None:
    """The server reads no more from who does not read."""
    async with running(listed(tmp_path, ENV)) as server:
        port = int(server.addresses[0].rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.setblocking(False)
            loop = asyncio.get_running_loop()
            ping = struct.pack("!IBI", 5 + 64, Kind.PING, 0) + bytes(64)
            await loop.sock_sendall(sock, struct.pack("!IBI", 21, Kind.HELLO, 0))
            await loop.sock_sendall(sock, b'{"versions":[1]}')
            while not server.connections.open:
                await asyncio.sleep(0)  # turns of the server
            (connection,) = server.connections.open.values()
            while connection.transport.is_reading():
                with suppress(BlockingIOError):
                    sock.send(ping * 1000)
                await asyncio.sleep(0)  # turns of the server
            assert connection.unsent() < 1024 * 1024
