"""sd_listen_fds(3): sockets that systemd opened for us, from descriptor 3 upwards.

A socket's name (FileDescriptorName= of its unit) may say what to serve on it:
tcp, tls, udp or unix. With any other name ``--tls`` decides for TCP.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from dataclasses import dataclass

from netkit.errors import UsageError

FIRST = 3
"""SD_LISTEN_FDS_START: the lowest descriptor that is passed."""

CARRIERS = {
    (socket.AF_INET, socket.SOCK_STREAM): "tcp",
    (socket.AF_INET6, socket.SOCK_STREAM): "tcp",
    (socket.AF_INET, socket.SOCK_DGRAM): "udp",
    (socket.AF_INET6, socket.SOCK_DGRAM): "udp",
    (socket.AF_UNIX, socket.SOCK_STREAM): "unix",
}
NAMES = ("tcp", "tls", "udp", "unix")


@dataclass(frozen=True)
class Activated:
    """One socket that was passed to us; it stays open until somebody adopts it."""

    fd: int
    name: str
    """Its unit's FileDescriptorName=, by default the unit's own name; it may be empty."""

    def scheme(self, tls: bool) -> str:
        """What to serve on it: tcp, tls, udp or unix. Raises `UsageError`."""
        carrier = self._carrier()
        if self.name not in NAMES:
            return "tls" if carrier == "tcp" and tls else carrier
        if carrier != ("tcp" if self.name == "tls" else self.name):
            raise UsageError(
                f"LISTEN_FDS: descriptor {self.fd} is named {self.name}, but carries {carrier}; "
                "mend FileDescriptorName= in its .socket unit"
            )
        return self.name

    def _carrier(self) -> str:
        try:
            sock = socket.socket(fileno=self.fd)
        except OSError:
            raise self._wrong("is no socket") from None
        try:
            carrier = CARRIERS.get((sock.family, sock.type))
            accepts = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        finally:
            sock.detach()
        if carrier is None:
            raise self._wrong("is a kind of socket that cannot be served")
        if carrier != "udp" and not accepts:
            raise self._wrong("does not listen")
        return carrier

    def _wrong(self, what: str) -> UsageError:
        return UsageError(
            f"LISTEN_FDS: descriptor {self.fd} ({self.name or 'without name'}) {what}; "
            "give the .socket unit ListenStream= or ListenDatagram= (UDP), and Accept=no"
        )


def claim(environment: MutableMapping[str, str] = os.environ) -> list[Activated]:
    """The sockets passed to this process; from now on no program that it runs gets them.

    The variables are removed from the environment, also where they mean another
    process. Raises `UsageError` if they contradict what is open.
    """
    pid = environment.pop("LISTEN_PID", "")
    count = environment.pop("LISTEN_FDS", "")
    names = environment.pop("LISTEN_FDNAMES", "")
    environment.pop("LISTEN_PIDFDID", None)
    if pid != str(os.getpid()):
        return []
    if not (count.isascii() and count.isdigit() and len(count) < 7):
        raise UsageError(f"LISTEN_FDS={count[:20]}: systemd gives a number of descriptors there")
    found = [""] * int(count)
    if names and found:
        found = names.split(":")
        if len(found) != int(count):
            raise UsageError(
                f"LISTEN_FDNAMES: {len(found)} names for {int(count)} descriptors; "
                "systemd gives one for each"
            )
    for fd in range(FIRST, FIRST + len(found)):
        try:
            os.set_inheritable(fd, False)
        except OSError as error:
            raise UsageError(f"LISTEN_FDS: descriptor {fd}: {error.strerror}") from None
    return [Activated(fd, name) for fd, name in enumerate(found, FIRST)]
