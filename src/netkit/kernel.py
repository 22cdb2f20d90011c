"""What the kernel already counts for each connection, so that Python need not.

Source: ``struct tcp_info`` in Linux's ``include/uapi/linux/tcp.h``; its fields
keep their offsets for ever. Elsewhere than on Linux TCP there is nothing to
read; `counting` does it there.
"""

from __future__ import annotations

import array
import atexit
import fcntl
import socket
import struct
import sys
import termios
from typing import NamedTuple

COUNTS = sys.platform == "linux"
"""Whether the kernel counts what TCP connections carry."""

# state (0), last_data_recv in ms (52), rtt in µs (68), bytes_received (128),
# bytes_sent (200), bytes_retrans (208). Linux 4.19 and later fill them all.
_LAYOUT = struct.Struct("=B51xI12xI56xQ64xQQ")
COUNTED = struct.Struct("=B127xQ64xQQ").unpack  # the same without what only `Traffic` has
# By state. TIME_WAIT, CLOSE_WAIT, LAST_ACK, CLOSING: a FIN has come.
FIN_RECEIVED = tuple(state in (6, 8, 9, 11) for state in range(256))
PEER_FIRST = tuple(state in (8, 9) for state in range(256))  # it came before ours was sent

# What `tcp_info` passes, as plain names: looking each up in `socket` took it 500 instructions.
_Borrowed = socket.SocketType  # the type of socket.socket's C half
_INET, _STREAM = socket.AF_INET, socket.SOCK_STREAM
_TCP, _TCP_INFO, _SIZE = socket.IPPROTO_TCP, getattr(socket, "TCP_INFO", 0), _LAYOUT.size


class Traffic(NamedTuple):
    """Bytes as they went over TCP: under TLS that is ciphertext and handshake too."""

    received: int
    sent: int | None
    """None where nobody counts it."""
    quiet: float
    """Seconds since the peer's last byte (since the connection was made, if none came)."""
    rtt: float | None
    """Smoothed round trip, in seconds."""
    peer_closed: bool
    """The peer has sent its end of input, and did so before we closed."""


def decoded(info: bytes) -> Traffic | None:
    """What `tcp_info` has read; None if that is nothing."""
    if not info:
        return None
    state, quiet, rtt, received, sent, resent = _LAYOUT.unpack(info)
    # A FIN takes one sequence number and is counted as a byte.
    received -= FIN_RECEIVED[state]
    return Traffic(received, sent - resent, quiet / 1e3, rtt / 1e6, PEER_FIRST[state])


def counted(info: bytes) -> tuple[int, int, bool]:
    """What the log says of `tcp_info`: bytes received and sent, and `Traffic.peer_closed`."""
    state, received, sent, resent = COUNTED(info)
    return received - FIN_RECEIVED[state], sent - resent, PEER_FIRST[state]


class _Probes(dict[int, socket.SocketType]):
    """A socket object for each descriptor number ever asked for, never closed by us.

    To make one takes as long as to ask it, for Python looks first whether the number is a
    socket's. Whose it is when it is asked, the kernel knows by the number alone.
    """

    def __missing__(self, descriptor: int) -> socket.SocketType:
        probe = self[descriptor] = _Borrowed(_INET, _STREAM, 0, descriptor)
        return probe

    def detach(self) -> None:
        """Forget them, without closing what is not ours."""
        while self:
            self.popitem()[1].detach()


_PROBES = _Probes()
atexit.register(_PROBES.detach)


def tcp_info(descriptor: int) -> bytes:
    """The kernel's figures for a TCP connection, undecoded, at 0.6 µs; empty where it has none.

    By the descriptor's number, since uvloop's sockets take five times as long to ask.
    """
    if descriptor < 0 or not COUNTS:
        return b""
    try:
        info = _PROBES[descriptor].getsockopt(_TCP, _TCP_INFO, _SIZE)
    except OSError:
        return b""  # a Unix socket
    return info if len(info) == _SIZE else b""


def unread(sock: socket.socket) -> int:
    """Bytes that wait in the kernel for us to read (ioctl FIONREAD, tcp(7), unix(7))."""
    count = array.array("i", [0])
    fcntl.ioctl(sock.fileno(), termios.FIONREAD, count)
    return count[0]


def peer_credentials(sock: socket.socket) -> tuple[int, int] | None:
    """Process id and user id of a Unix socket's peer (SO_PEERCRED, unix(7))."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    try:
        pid, uid, _ = struct.unpack(
            "3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        )
    except OSError:
        return None
    return pid, uid
