"""What the kernel counts, asked for by descriptor numbers that are used again and again."""

from __future__ import annotations

import socket
import subprocess
import sys

from netkit.kernel import decoded, tcp_info


def pair(listener: socket.socket) -> tuple[socket.socket, socket.socket]:
    ours = socket.create_connection(listener.getsockname())
    theirs, _ = listener.accept()
    return ours, theirs


def test_a_number_that_is_used_again_tells_of_the_new_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for size in (5, 7):
            ours, theirs = pair(listener)
            with ours, theirs:
                ours.sendall(bytes(size))
                assert len(theirs.recv(100)) == size
                first = theirs.fileno()
                found = decoded(tcp_info(first))
                assert found is not None
                assert found.received == size
        assert tcp_info(first) == b""  # closed by now, and never by us
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert tcp_info(ours.fileno()) == tcp_info(theirs.fileno()) == b""
    assert tcp_info(-1) == b""


ASKS = """
import socket
from netkit.kernel import tcp_info
listener = socket.create_server(("127.0.0.1", 0))
assert tcp_info(listener.fileno())
listener.close()
"""


def test_a_process_that_has_asked_ends_without_a_word() -> None:
    """Python would warn of sockets that nobody closes, and close what is not ours."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ASKS], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
