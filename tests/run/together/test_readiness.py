"""Commands that wait for the one before them."""

from __future__ import annotations

import shlex
import socket
from pathlib import Path

import pytest

from netkit.errors import NetkitError
from tests.peers import peer
from tests.run.together.side_by_side import LONG, Console, Witness, sh


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def test_a_port(console: Console) -> None:
    socat, port = peer("socat"), free_port()
    ended = await console.together(
        f"server: {sh(f'sleep 0.3; exec {socat} TCP-LISTEN:{port},reuseaddr,fork EXEC:cat')}",
        f"client: {sh(f'echo hello | {socat} -t 9 - TCP:127.0.0.1:{port}')}",
        ready=[f"server=tcp:127.0.0.1:{port}"],
        kill_others=True,
    )
    assert ended.out == ["client | hello"]
    assert ended.place("server * ready") < ended.place("client * started")
    assert ended.status == 0


async def test_a_unix_socket_beside_the_procfile(console: Console, tmp_path: Path) -> None:
    socat = peer("socat")
    file = tmp_path / "Procfile"
    file.write_text(
        f"server: {socat} UNIX-LISTEN:sock,fork EXEC:cat\n"
        f"client: {sh(f'echo hello | {socat} -t 9 - UNIX-CONNECT:sock')}\n"
    )
    ended = await console.together(file=file, ready=["server=unix:sock"], kill_others=True)
    assert ended.out == ["client | hello"]
    assert ended.status == 0


@pytest.mark.parametrize("where", ["", " >&2"])
async def test_a_line_of_either_stream(console: Console, where: str) -> None:
    server = f"echo starting{where}; echo 'listening on 1'{where}; {LONG}"
    ended = await console.together(
        f"server: {sh(server)}",
        "client: echo go",
        ready=["server=line:^listening on \\d"],
        kill_others=True,
    )
    assert ended.out[-1] == "client | go"
    assert "server | listening on 1" in (ended.err if where else ended.out)
    assert ended.place("server * ready") < ended.place("client * started")


async def test_a_step_that_must_be_done(console: Console) -> None:
    ended = await console.together(
        f"migrate: {sh('sleep 0.2; echo migrated')}", "web: echo go", ready=["migrate=exit"]
    )
    assert ended.out == ["migrate | migrated", "web     | go"]


async def test_a_server_that_goes_to_the_background(console: Console, tmp_path: Path) -> None:
    socat, sock = peer("socat"), tmp_path / "sock"
    # Out of the group before its parent ends; over when it was connected to.
    daemon = f"touch {tmp_path}/up; exec {socat} UNIX-LISTEN:{sock} OPEN:/dev/null"
    server = f"setsid sh -c {shlex.quote(daemon)} >/dev/null 2>&1 & "
    server += f"until test -e {tmp_path}/up; do sleep 0.02; done"
    ended = await console.together(
        f"server: {sh(server)}", "client: echo go", ready=[f"server=unix:{sock}"]
    )
    assert ended.out == ["client | go"]
    assert ended.status == 0


@pytest.mark.parametrize(
    ("condition", "before"),
    [
        ("line:on", "a line matched 'on'"),
        ("unix:sock", "anybody listened on unix:sock"),
        ("exit", "it ended"),
    ],
)
async def test_not_ready_in_time(
    console: Console, holders: Witness, condition: str, before: str
) -> None:
    with pytest.raises(NetkitError) as caught:
        await console.together(
            f"a: {holders.held(LONG)}",
            "b: echo never",
            ready=[f"a={condition}"],
            ready_timeout=0.2,
        )
    assert str(caught.value) == (
        f"a: 0.2 s were over before {before}; see its output, or raise --ready-timeout"
    )
    assert console.lines == []
    await holders.all_gone()


@pytest.mark.parametrize("condition", ["line:on", "unix:sock", "exit"])
async def test_a_failure_before_it_was_ready(
    console: Console, holders: Witness, condition: str
) -> None:
    ended = await console.together(
        f"other: {holders.held(LONG)}",
        f"a: {sh('exit 5')}",
        "b: echo never",
        ready=[f"a={condition}"],
        quiet=True,
    )
    await holders.all_gone()
    assert ended.status == 5
    assert ended.out == []
    (line,) = ended.err
    assert line.startswith("a     * ended before ")
    assert line.endswith(": what comes after it is not started")


async def test_the_end_before_it_was_ready(console: Console) -> None:
    with pytest.raises(NetkitError, match=r"^a ended before a line matched 'on': what"):
        await console.together("a: echo off", "b: echo never", ready=["a=line:on"])


async def test_a_restart_may_make_it_ready(console: Console, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    server = f"test -e {mark} || {{ touch {mark}; exit 1; }}; echo on; {LONG}"
    ended = await console.together(
        f"a: {sh(server)}", "b: echo go", ready=["a=line:on"], restart="1", kill_others=True
    )
    assert ended.out == ["a | on", "b | go"]
    assert ended.status == 0
