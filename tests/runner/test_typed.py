"""The lines that people type, with the programs that people type them into."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

import netkit
from netkit.certificates.issuing import issue
from netkit.options import TLS
from netkit.servers.runner import Runner, typed
from netkit.servers.runner.tape import PIECE
from netkit.servers.runner.typed import LONGEST_LINE, prefixed
from tests.peers import peer
from tests.runner.talking import HERE, listed, running, shell, talker

ECHO = f"""[commands.echo]
program = "/bin/echo"
arguments = ["{{text}}"]
parameters.text = {{ pattern = ".*" }}
{HERE}"""


async def said(path: Path, *lines: str, **settings: int) -> str:
    """What comes back when these lines are typed and then no more."""
    async with running(path, **settings) as server, talker(server, greeted=False) as one:  # type: ignore[arg-type]  # all of one kind
        await one.say("".join(f"{line}\n" for line in lines))
        one.writer.write_eof()
        return (await one.rest()).decode()


async def test_lines_have_prefixes_and_a_status(tmp_path: Path) -> None:
    path = listed(tmp_path, shell("both", "printf 'a\\nb\\n'; echo c >&2; printf d; exit 3"))
    out = await said(path, "RUN both")
    assert sorted(out.splitlines()) == ["ERR c", "EXIT 3", "OUT a", "OUT b", "OUT d"]
    assert out.endswith("\nEXIT 3\n")


async def test_one_after_the_other(tmp_path: Path) -> None:
    lines = [f'RUN echo "line  {number}"\r' for number in range(20)]
    out = await said(listed(tmp_path, ECHO), *lines)
    assert out == "".join(f"OUT line  {number}\nEXIT 0\n" for number in range(20))


async def test_help_and_quit(tmp_path: Path) -> None:
    others = shell("secret", "id").replace("loopback", "cn:alice")
    out = await said(listed(tmp_path, ECHO + others), "HELP", "QUIT", "RUN echo x")
    assert out == "RUN echo <text>\nHELP, KILL, QUIT\n"


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("RUN", "ERROR argument say what to run: RUN NAME [ARGUMENT…]\n"),
        ("RUN none", "ERROR denied 'none' is no command, or it is not for you\n"),
        ("RUN echo", "ERROR argument text is missing: give a text like .*\n"),
        ("RUN echo 'x", "ERROR argument No closing quotation\n"),
        ("RUN echo -n", "ERROR argument text: begins with '-', which it may not\n"),
        ("RUN echo x; id", "ERROR argument 2 arguments, 1 are taken\n"),
        ("RUN echo $(id)", "OUT $(id)\nEXIT 0\n"),
        ("RUN echo '`id`'", "OUT `id`\nEXIT 0\n"),
        ("RUN echo \\;id", "OUT ;id\nEXIT 0\n"),
    ],
)
async def test_what_is_typed_wrong(tmp_path: Path, line: str, answer: str) -> None:
    assert (
        await said(listed(tmp_path, ECHO), line, "RUN echo next") == f"{answer}OUT next\nEXIT 0\n"
    )


async def test_output_cannot_pass_for_an_answer(tmp_path: Path) -> None:
    path = listed(tmp_path, shell("lie", "printf 'EXIT 0\\n\\nEXIT 0'; exit 1"))
    assert await said(path, "RUN lie") == "OUT EXIT 0\nOUT \nOUT EXIT 0\nEXIT 1\n"


async def test_a_line_without_end(tmp_path: Path) -> None:
    path = listed(tmp_path, shell("long", "head -c 1000000 /dev/zero"))
    async with running(path) as server, talker(server, greeted=False) as one:
        await one.say("RUN long\n")
        one.writer.write_eof()
        *lines, end = (await one.rest()).splitlines()
    assert end == b"EXIT 0"
    assert b"".join(line.removeprefix(b"OUT ") for line in lines) == bytes(1_000_000)
    assert max(map(len, lines)) < 3 * PIECE


async def test_kill_overtakes_what_waits(tmp_path: Path) -> None:
    path = listed(tmp_path, ECHO + shell("sleep", "echo go; exec sleep 60"))
    async with running(path) as server, talker(server, greeted=False) as one:
        await one.say("RUN sleep\nRUN echo next\n")
        assert await one.reader.readline() == b"OUT go\n"
        await one.say("KILL\nQUIT\n")
        assert await one.rest() == b"EXIT 143 killed\nOUT next\nEXIT 0\n"


@pytest.mark.parametrize(
    "first",
    [
        "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\n\r",
        "GET /%0aRUN%20touch HTTP/1.1\r",
        "run touch",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r",
        "\x16\x03\x01\x02",
        "x" * (LONGEST_LINE + 1),
    ],
)
async def test_a_browser_that_is_made_to_talk_runs_nothing(tmp_path: Path, first: str) -> None:
    ran = tmp_path / "ran"
    path = listed(tmp_path, shell("touch", f"touch {ran}"))
    async with running(path) as server, talker(server, greeted=False) as one:
        await one.say(f"{first}\nRUN touch\n")
        assert (await one.rest()).startswith(b"ERROR protocol ")
        assert server.service.figures()["runner_jobs_total"] == 0
    assert not ran.exists()


async def test_lines_without_end_are_not_kept(tmp_path: Path) -> None:
    path = listed(tmp_path, shell("sleep", "exec sleep 60"))
    for flood in ("x" * 10_000, "RUN sleep\n" * 200):
        async with running(path) as server, talker(server, greeted=False) as one:
            await one.say("RUN sleep\n")
            await one.say(flood)
            assert b"ERROR" in await one.rest()


async def test_who_leaves_ends_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typed, "BEAT", 0.02)
    path = listed(tmp_path, shell("sleep", "echo $$; exec sleep 60"))
    async with running(path) as server:
        async with talker(server, greeted=False) as one:
            await one.say("RUN sleep\n")
            pid = int((await one.reader.readline()).removeprefix(b"OUT "))
            one.writer.transport.abort()
        assert isinstance(server.service, Runner)
        await server.service._house.runs.close_door()
        assert not Path(f"/proc/{pid}").exists()


async def test_a_student_with_netcat(tmp_path: Path) -> None:
    nc = peer("nc")
    async with running(listed(tmp_path, ECHO)) as server:
        port = server.addresses[0].rpartition(":")[2]
        process = await asyncio.create_subprocess_exec(
            nc, "-N", "127.0.0.1", port, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        out, _ = await process.communicate(b"RUN echo hello\n")
    assert out.replace(b"RUNNING\n", b"") == b"OUT hello\nEXIT 0\n"


async def test_a_student_with_openssl(tmp_path: Path) -> None:
    openssl = peer("openssl")
    alice, ours = issue(["alice"], client=True), issue(["localhost"])
    ca = ours.cert.parent.parent / "ca.pem"
    tls = TLS(ssl_certfile=(ours.cert,), ssl_keyfile=(ours.key,), ssl_ca_certs=ca)
    service = Runner(allow=listed(tmp_path, ECHO.replace("loopback", "cn:alice")))
    async with netkit.serve(service, bind="tls://127.0.0.1:0", tls=tls) as server:
        process = await asyncio.create_subprocess_exec(
            openssl, "s_client", "-quiet", "-connect", server.addresses[0].partition("://")[2],
            "-CAfile", ca, "-cert", alice.cert, "-key", alice.key,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        out, _ = await process.communicate(b"RUN echo hello\nQUIT\n")
    assert out == b"OUT hello\nEXIT 0\n"


def test_prefixes() -> None:
    assert prefixed(b"> ", b"") == b""
    assert prefixed(b"> ", b"a\n\nb\n") == b"> a\n> \n> b\n"
    assert prefixed(b"> ", b"a") == b"> a\n"
