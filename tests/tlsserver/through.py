"""So many GiB through the terminator, in a process of its own: speed, and memory at each tenth.

    python -m tests.tlsserver.through --gib 10 --loop uvloop

A client sends, an upstream reads and counts, both with plain blocking sockets in threads of
this process; what is measured is ``netkit serve tls --to``, whose memory /proc tells.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

GIB, MIB = 1024**3, 1024**2
CHUNK = 256 * 1024


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--gib", type=float, default=1.0)
    asked.add_argument("--loop", default="uvloop", choices=["asyncio", "uvloop"])
    asked.add_argument("--back", action="store_true", help="from the upstream to the client")
    asked.add_argument("--digests", action="store_true", help="compare SHA-256 of both sides")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as there:
        environment = {**os.environ, "NETKIT_CERTS": folder}
        command = [
            sys.executable, "-m", "netkit", "serve", "tls", "--port", "0", "--loop", given.loop,
            "--check-every", "0", "--to", f"127.0.0.1:{there.getsockname()[1]}",
        ]  # fmt: skip
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as netkit:
            try:
                near = client(port_of(netkit), Path(folder))
                far, _ = there.accept()
                with near, far:
                    source, sink = (far, near) if given.back else (near, far)
                    size = int(given.gib * GIB)
                    measure(source, sink, size, netkit.pid, digests=given.digests)
            finally:
                netkit.terminate()
                netkit.communicate()


def port_of(netkit: subprocess.Popen[str]) -> int:
    """Where it says that it listens."""
    assert netkit.stdout
    heard = ""
    for line in netkit.stdout:
        heard += line
        if found := re.search(r"tls://127\.0\.0\.1:(\d+)", line):
            return int(found[1])
    raise SystemExit(f"it did not start:\n{heard}")


def client(port: int, folder: Path) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    sock = socket.create_connection(("127.0.0.1", port))
    return context.wrap_socket(sock, server_hostname="localhost")


def measure(
    source: socket.socket, sink: socket.socket, size: int, pid: int, *, digests: bool
) -> None:
    """Send `size` bytes from one to the other, and say how that goes."""
    block = os.urandom(CHUNK)
    sent = hashlib.sha256()

    def send() -> None:
        left = size
        while left:
            data = block[: min(CHUNK, left)]
            source.sendall(data)
            left -= len(data)
            if digests:
                sent.update(data)

    sending = threading.Thread(target=send)
    say(f"before: RSS {rss(pid) / MIB:.1f} MiB")
    began = last = time.monotonic()
    before = cpu(pid)
    sending.start()
    got, taken, told, buffer = hashlib.sha256(), 0, 0, bytearray(CHUNK)
    while taken < size:
        count = sink.recv_into(buffer)
        if not count:
            raise SystemExit(f"ended after {taken} bytes of {size}")
        taken += count
        if digests:
            got.update(memoryview(buffer)[:count])
        if taken * 10 // size > told:
            told, now = taken * 10 // size, time.monotonic()
            speed = size / 10 / (now - last) / 1e6
            say(f"{told * 10:3} %: {speed:7.1f} MB/s, RSS {rss(pid) / MIB:.1f} MiB")
            last = now
    sending.join()
    seconds, used = time.monotonic() - began, cpu(pid) - before
    say(
        f"{taken} bytes in {seconds:.1f} s: {taken / seconds / 1e6:.1f} MB/s, "
        f"{used / taken * 1e9:.2f} s of CPU for each GB"
    )
    if digests:
        say("digests equal" if sent.digest() == got.digest() else "DIGESTS DIFFER")


def say(what: str) -> None:
    """One line, now."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def rss(pid: int) -> int:
    """Bytes resident."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu(pid: int) -> float:
    """Seconds of CPU so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
