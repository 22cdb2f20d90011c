"""netkit connect, run as a person runs it, against ncat, socat and openssl."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import pytest

from netkit.clients.connect import hexdump, recording
from tests.peers import peer

COMMAND = [sys.executable, "-m", "netkit", "connect"]
LIMIT = 30.0  # seconds until a test gives a process up

both_loops = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


def run(
    *arguments: str, stdin: bytes = b"", loop: str | None = None
) -> subprocess.CompletedProcess[bytes]:
    if loop:
        arguments = (*arguments, "--loop", loop)
    return subprocess.run([*COMMAND, *arguments], input=stdin, capture_output=True, timeout=LIMIT)


@contextmanager
def started(*command: str, stdin: int = subprocess.PIPE) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def listening(
    *command: str, said: bytes = b"istening on", to: str = "stderr"
) -> Iterator[subprocess.Popen[bytes]]:
    """A peer program that has said that it listens; `port` is in what it said."""
    with started(*command) as process:
        stream = process.stderr if to == "stderr" else process.stdout
        assert stream
        heard = b""
        while said not in heard:
            line = stream.readline()
            assert line, heard.decode()
            heard += line
        process.port = heard.split(b":")[-1].strip().decode()  # type: ignore[attr-defined]  # kept on the process
        yield process


def port_of(process: subprocess.Popen[bytes]) -> str:
    return str(process.port)  # type: ignore[attr-defined]  # as set above


@contextmanager
def socat(then: str) -> Iterator[str]:
    """Serve a shell command on a free port, once for each connection."""
    listen = "TCP4-LISTEN:0,bind=127.0.0.1,fork"
    with listening(peer("socat"), "-d", "-d", listen, f"SYSTEM:{then}") as server:
        yield port_of(server)


def free_port(kind: int = socket.SOCK_STREAM) -> str:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@contextmanager
def accepting(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serve one connection with a function, in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with suppress(OSError):
                sock, _ = listener.accept()
                with sock:
                    serve(sock)

        thread = Thread(target=accept)
        thread.start()
        yield str(listener.getsockname()[1])
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join(LIMIT)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A self-signed certificate for localhost, and its key."""
    folder = tmp_path_factory.mktemp("pair")
    cert, key = str(folder / "cert.pem"), str(folder / "key.pem")
    request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=me"
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert]
    subprocess.run([peer("openssl"), *request.split(), *names], check=True, capture_output=True)
    return cert, key


@both_loops
@pytest.mark.parametrize("kind", ["tcp", "unix", "tls"])
def test_talks_to_ncat(kind: str, loop: str, tmp_path: Path, pair: tuple[str, str]) -> None:
    path, port = str(tmp_path / "sock"), free_port()
    listen, reach = {
        "tcp": (["127.0.0.1", port], ["127.0.0.1", port]),
        "unix": (["-U", path], ["-U", path]),
        "tls": (
            ["--ssl", "--ssl-cert", pair[0], "--ssl-key", pair[1], "127.0.0.1", port],
            ["--tls", f"localhost:{port}", "--ca-certs", pair[0]],
        ),
    }[kind]
    with (
        listening(peer("ncat"), "-l", "-v", *listen) as server,
        started(*COMMAND, *reach, "--loop", loop) as client,
    ):
        assert server.stdin
        assert server.stdout
        assert client.stdin
        assert client.stdout
        client.stdin.write(b"from us\n")
        assert server.stdout.readline() == b"from us\n"
        server.stdin.write(b"from ncat\n")
        assert client.stdout.readline() == b"from ncat\n"
        server.kill()  # the kernel closes its connection in order
        assert client.wait(LIMIT) == 0


@both_loops
def test_talks_udp_to_ncat(loop: str) -> None:
    port = free_port(socket.SOCK_DGRAM)
    with (
        listening(peer("ncat"), "-u", "-l", "-v", "127.0.0.1", port) as server,
        started(*COMMAND, "-u", "127.0.0.1", port, "--loop", loop) as client,
    ):
        assert server.stdin
        assert server.stdout
        assert client.stdin
        assert client.stdout
        client.stdin.write(b"from us\n")
        assert server.stdout.readline() == b"from us\n"
        server.stdin.write(b"from ncat\n")
        assert client.stdout.readline() == b"from ncat\n"
        client.stdin.close()  # UDP has no end: it waits for a last answer, then ends in order
        assert client.wait(LIMIT) == 0


@both_loops
def test_half_closes_and_reads_the_answer_to_the_end(loop: str) -> None:
    with socat("cat; echo after the end") as port:
        done = run("localhost", port, stdin=b"hello\n", loop=loop)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"hello\nafter the end\n", b"")


@both_loops
def test_explains_tls(loop: str, pair: tuple[str, str]) -> None:
    serve = ["s_server", "-accept", "127.0.0.1:0", "-cert", pair[0], "-key", pair[1]]
    with listening(
        peer("openssl"), *serve, "-rev", "-alpn", "echo/1", said=b"ACCEPT", to="stdout"
    ) as server:
        reach = f"tls://localhost:{port_of(server)}"
        done = run(
            *[reach, "-v", "--ca-certs", pair[0], "--alpn", "echo/1", "-i", "1"],
            stdin=b"hello\n",
            loop=loop,
        )
    assert (done.returncode, done.stdout) == (0, b"olleh\n")  # idle after our end: in order
    said = done.stderr.decode()
    assert f"connected to {reach}" in said
    assert re.search(r"TLSv1\.3, TLS_\w+, ALPN echo/1", said)
    assert "subject  CN=me" in said


@both_loops
def test_an_untrusted_certificate_is_one_line(loop: str, pair: tuple[str, str]) -> None:
    serve = ["s_server", "-accept", "127.0.0.1:0", "-cert", pair[0], "-key", pair[1]]
    with listening(peer("openssl"), *serve, said=b"ACCEPT", to="stdout") as server:
        done = run("--tls", f"localhost:{port_of(server)}", loop=loop)
    assert one_line(done, 1).startswith("netkit: error: localhost: the certificate is self-signed")


def one_line(done: subprocess.CompletedProcess[bytes], status: int) -> str:
    assert done.returncode == status
    assert done.stdout == b""
    text = done.stderr.decode()
    assert text.count("\n") == 1, text
    return text


@both_loops
@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["127.0.0.1", "PORT"], "nothing listens on tcp://127.0.0.1:PORT"),
        (["-u", "127.0.0.1:PORT"], "nothing listens on udp://127.0.0.1:PORT"),
        (["name.invalid:1"], "name.invalid"),
        (["-U", "/nowhere/sock"], "no socket at /nowhere/sock"),
    ],
)
def test_network_errors_are_one_line_and_status_1(
    arguments: list[str], line: str, loop: str
) -> None:
    port = free_port(socket.SOCK_DGRAM if "-u" in arguments else socket.SOCK_STREAM)
    done = run(*(word.replace("PORT", port) for word in arguments), stdin=b"x", loop=loop)
    assert line.replace("PORT", port) in one_line(done, 1)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["127.0.0.1:1", "--source", "192.0.2.1"], "--source 192.0.2.1:0"),
        (["localhost:1", "--loop", "none"], "--loop none"),
        (["localhost:1", "--record", "/nowhere/file"], "--record /nowhere/file"),
        (["fd://99"], "fd://99 is not an open socket"),
    ],
)
def test_what_shows_when_it_begins_is_one_line_and_status_2(
    arguments: list[str], line: str
) -> None:
    assert line in one_line(run(*arguments), 2)


@both_loops
def test_retry_meets_a_server_that_comes_up_later(loop: str) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))  # bound, not listening: refused until it does
        port = str(listener.getsockname()[1])
        with started(*COMMAND, "127.0.0.1", port, "--retry", "--loop", loop) as client:
            assert client.stderr
            assert client.stdout
            assert b"trying until it answers" in client.stderr.readline()
            listener.listen()
            sock, _ = listener.accept()
            with sock:
                sock.sendall(b"at last\n")
            assert client.stdout.read() == b"at last\n"
            assert client.wait(LIMIT) == 0


def test_retry_has_a_limit() -> None:
    done = run("127.0.0.1", free_port(), "--retry-for", "0.3")
    assert done.returncode == 1
    waiting, failure = done.stderr.decode().splitlines()
    assert waiting == f"{failure.replace('error: ', '')}; trying until it answers"


@both_loops
def test_what_came_before_a_reset_is_delivered(loop: str) -> None:
    def say_and_reset(sock: socket.socket) -> None:
        sock.sendall(b"last words\n")
        sock.recv(1)  # so that they are there before the reset
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with accepting(say_and_reset) as port:
        done = run("127.0.0.1", port, stdin=b"x", loop=loop)
    assert done.stdout == b"last words\n"
    assert done.returncode == 1
    assert "reset the connection" in done.stderr.decode()


@both_loops
def test_idle_is_an_error_where_the_peer_was_told_of_our_end(loop: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:  # connects us, and says nothing
        port = str(listener.getsockname()[1])
        done = run("127.0.0.1", port, "-i", "0.2", loop=loop)
    assert one_line(done, 1) == "netkit: error: idle: nothing came or went for 0.2 s\n"


@both_loops
def test_megabytes_both_ways_come_back_whole(loop: str, tmp_path: Path) -> None:
    data = os.urandom(1 << 20) * 24
    source = tmp_path / "data"
    source.write_bytes(data)
    with socat("cat") as port, source.open("rb") as stdin:
        done = subprocess.run(
            [*COMMAND, "localhost", port, "--loop", loop],
            stdin=stdin,
            capture_output=True,
            timeout=LIMIT,
        )
    assert done.returncode == 0
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(data).digest()


@both_loops
@pytest.mark.parametrize("redirect", ["</dev/null", "<&-", "<&- >&-", "<&- 2>&-"])
def test_any_kind_of_stdin_and_closed_ones(redirect: str, loop: str) -> None:
    shell = f'exec "$@" {redirect}'
    with socat("cat; echo end") as port:
        command = ["sh", "-c", shell, "sh", *COMMAND, "localhost", port, "--loop", loop]
        done = subprocess.run(command, capture_output=True, timeout=LIMIT)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == (b"" if ">&-" in redirect.split() else b"end\n")


@both_loops
def test_stdin_is_left_blocking(loop: str) -> None:
    reader, writer = os.pipe()
    with socat("cat") as port, started(*COMMAND, "localhost", port, "--loop", loop, stdin=reader):
        os.write(writer, b"x")
        while os.get_blocking(reader) and not is_empty(reader):
            os.sched_yield()
        assert os.get_blocking(reader)
    os.close(reader)
    os.close(writer)


def is_empty(pipe: int) -> bool:
    import select

    return not select.select([pipe], [], [], 0)[0]


@both_loops
def test_interrupt_is_died_of(loop: str) -> None:
    with (
        socat("echo ready; cat") as port,
        started(*COMMAND, "localhost", port, "--loop", loop) as client,
    ):
        assert client.stdout
        assert client.stderr
        assert client.stdout.readline() == b"ready\n"
        client.send_signal(signal.SIGINT)
        assert client.wait(LIMIT) == -signal.SIGINT
        assert client.stderr.read() == b""


@both_loops
def test_a_closed_pipe_behind_us_is_died_of_quietly(loop: str) -> None:
    with socat("yes") as port, started(*COMMAND, "localhost", port, "--loop", loop) as client:
        assert client.stdout
        assert client.stderr
        assert client.stdout.read(2) == b"y\n"
        client.stdout.close()
        assert client.wait(LIMIT) == -signal.SIGPIPE
        assert client.stderr.read() == b""


def test_a_full_disk_behind_us_is_one_line() -> None:
    with socat("echo hello") as port, Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, "localhost", port],
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=LIMIT,
        )
    assert done.returncode == 1
    assert b"standard output cannot be written: No space left" in done.stderr


@both_loops
def test_dump_and_recording_tell_what_went_by(loop: str, tmp_path: Path) -> None:
    file = tmp_path / "session.jsonl"
    extra = tmp_path / "extra"
    extra.write_bytes(b"\xff")
    with socat(f"cat; cat {extra}") as port:
        done = run(
            "localhost", port, "--hex", "--crlf", "--record", str(file), stdin=b"hi\n", loop=loop
        )
    assert (done.returncode, done.stdout) == (0, b"hi\r\n\xff")
    sent, came = hexdump.undump(done.stderr.decode().splitlines())
    assert (sent, came) == (b"hi\r\n", b"hi\r\n\xff")
    chunks = list(recording.read(file.read_text().splitlines()))
    assert b"".join(chunk.data for chunk in chunks if chunk.way == ">") == b"hi\r\n"
    assert b"".join(chunk.data for chunk in chunks if chunk.way == "<") == b"hi\r\n\xff"
    assert file.stat().st_mode & 0o777 == 0o600


@both_loops
def test_comes_from_the_source_asked_for(loop: str) -> None:
    def tell(sock: socket.socket) -> None:
        sock.sendall(sock.getpeername()[0].encode())

    with accepting(tell) as port:
        done = run("127.0.0.1", port, "--source", "127.0.0.2", loop=loop)
    assert done.stdout == b"127.0.0.2"
