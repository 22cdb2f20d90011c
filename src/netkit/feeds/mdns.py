"""Multicast DNS (RFC 6762) on one link: nothing goes out or comes in by another.

The python-zeroconf library does it. Its sockets send by the interface that they are told,
but hear what other programs' memberships let in, and would answer that by
whatever way leads there; so each is bound to its interface here (Linux 5.7; before that it
takes CAP_NET_RAW). One responder for each link also tells on which link a feed is heard.

It needs the extra: ``pip install netkit-serve[discovery]`` (zeroconf).
"""

from __future__ import annotations

import errno
import fcntl
import importlib
import os
import socket
import struct
from typing import TYPE_CHECKING

from netkit.errors import StartError, UsageError
from netkit.feeds.interfaces import Interface, find, interfaces

if TYPE_CHECKING:
    from zeroconf.asyncio import AsyncZeroconf

SIOCGIFFLAGS = 0x8913
_UP, _LOOPBACK, _MULTICAST = 0x1, 0x8, 0x1000  # netdevice(7)
_REQUEST = struct.Struct("16sH14x")  # a struct ifreq with flags


def require() -> None:
    """Raise `UsageError` unless the library is there."""
    try:
        importlib.import_module("zeroconf.asyncio")
    except ImportError:
        raise UsageError(
            "discovery by mDNS needs zeroconf: pip install 'netkit-serve[discovery]'"
        ) from None


def links(named: str = "") -> list[Interface]:
    """The interface of that name or address, or else all on which there can be mDNS.

    Raises `UsageError` if there is none of that name.
    """
    if named:
        return [find(named)]
    return [each for each in interfaces() if each.addresses and _carries(each)]


async def responder(link: Interface) -> AsyncZeroconf:
    """Take part in mDNS on this link; whoever has it awaits its `async_close`.

    Raises `UsageError` without the library, `StartError` if the link has no mDNS for us.
    """
    require()
    from zeroconf import NotRunningException
    from zeroconf.asyncio import AsyncZeroconf

    try:
        made = AsyncZeroconf(interfaces=[*_choice(link)])
    except OSError as error:
        raise StartError(f"no mDNS on {link.name}: {_mend(error)}") from None
    try:
        await made.zeroconf.async_wait_for_start()
        engine = made.zeroconf.engine
        if not engine.senders:
            raise StartError(f"no mDNS on {link.name}: it has no multicast, or is not up")
        for reader in engine.readers:
            reader.sock.setsockopt(
                socket.SOL_SOCKET, socket.SO_BINDTODEVICE, os.fsencode(link.name)
            )
    except (OSError, NotRunningException) as error:
        await made.async_close()
        why = _mend(error) if isinstance(error, OSError) else "it did not start"
        raise StartError(f"no mDNS on {link.name}: {why}") from None
    except BaseException:  # whatever it is, no socket is left open
        await made.async_close()
        raise
    return made


def _choice(link: Interface) -> list[str | int]:
    """The link as the library takes it: one IPv4 address, and its index if it has IPv6."""
    own = [each.ip for each in link.addresses]
    choice: list[str | int] = [*[str(ip) for ip in own if ip.version == 4][:1]]
    if any(ip.version == 6 and not ip.is_loopback for ip in own):
        choice.append(link.index)
    if not choice:
        raise StartError(f"no mDNS on {link.name}: it has no address")
    return choice


def _carries(link: Interface) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = _REQUEST.pack(os.fsencode(link.name), 0)
        try:
            answer = fcntl.ioctl(sock, SIOCGIFFLAGS, request)
        except OSError:  # it has gone meanwhile
            return False
    (_, flags) = _REQUEST.unpack_from(answer)
    return bool(flags & _UP and flags & (_MULTICAST | _LOOPBACK))


def _mend(error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return "port 5353 is taken by a program that does not share it"
        case errno.EPERM:
            return "to keep to one interface takes Linux 5.7 or CAP_NET_RAW"
        case _:
            return os.strerror(error.errno or 0)
