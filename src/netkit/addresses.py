"""Where to listen or connect, as people write it: ``HOST:PORT`` or a URL, and back.

=====================  =====================================================
``8000``               a port on the default host
``host:8000``          name or IPv4 address
``[::1]:8000``         IPv6 address; a zone goes inside: ``[fe80::1%eth0]:8000``
``tcp://host:8000``    also ``tls://`` and ``udp://``; before a bare port too
``unix:/run/x.sock``   Unix socket; ``unix:///run/x.sock`` is the same
``unix:@name``         Linux's abstract namespace; a file ``@name`` is ``unix:./@name``
``fd://3``             a socket that is already open, inherited from the parent
=====================  =====================================================
"""

from __future__ import annotations

import ipaddress
import re
import sys
from dataclasses import dataclass

from netkit.errors import UsageError

INTERNET = ("tcp", "tls", "udp")
SCHEMES = (*INTERNET, "unix", "fd")

# unix(7): sun_path is 108 bytes on Linux, 104 on the BSDs and macOS, one of them a NUL.
LONGEST_PATH = 107 if sys.platform == "linux" else 103
LONGEST_NAME = 253  # RFC 1035 section 2.3.4, without the root's dot

_SCHEMED = re.compile(r"(tcp|tls|udp|fd)://(.*)|(unix):(.*)", re.IGNORECASE | re.DOTALL)
_BRACKETED = re.compile(r"\[([^\[\]]*)\](?::(.*))?", re.DOTALL)
_NOT_IN_A_NAME = re.compile(r"[\s\x00-\x1f\x7f\[\]/@?#:*\\]")
_NUMBER = re.compile(r"[0-9]{1,9}")  # int() would take 1_0, +1 and other scripts' digits


@dataclass(frozen=True, slots=True)
class Address:
    """One address; `str` gives the text back that `parse` reads.

    Only what the scheme uses is set: `host` and `port` for tcp, tls and udp
    (IPv6 without brackets; port 0 lets the kernel choose), `path` for unix
    (``@name`` is abstract), `fd` for fd; with another scheme `fd` is a socket
    that is open already, spoken that way.
    """

    scheme: str
    host: str = ""
    port: int = 0
    path: str = ""
    fd: int = -1

    @property
    def socket_path(self) -> str:
        """`path` as the kernel takes it: an abstract name begins with NUL instead of @."""
        return "\0" + self.path[1:] if self.path.startswith("@") else self.path

    def __str__(self) -> str:
        if self.scheme == "unix":
            # Two leading slashes would be read as a URL's.
            return f"unix:{'//' if self.path.startswith('//') else ''}{self.path}"
        if self.scheme == "fd":
            return f"fd://{self.fd}"
        return f"{self.scheme}://{self.authority}"

    @property
    def authority(self) -> str:
        """Host and port without the scheme, IPv6 in brackets: ``[::1]:8000``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse(
    text: str,
    *,
    default_scheme: str = "tcp",
    default_host: str = "127.0.0.1",
    flag: str = "--bind",
) -> Address:
    """Read an address.

    `default_scheme` (tcp, tls or udp) holds where the text names none and
    `default_host` where it is a bare port. Raises `UsageError`, whose line begins
    with `flag`, says what is wrong with the text and shows a right one.
    """
    try:
        scheme, rest = _split_scheme(text, default_scheme)
        if scheme == "unix":
            return Address("unix", path=_path(rest))
        if scheme == "fd":
            return Address("fd", fd=_number(rest, "a descriptor", 2**31 - 1, "fd://3"))
        host, port = _host_and_port(rest, default_host)
        return Address(scheme, host=host, port=port)
    except _WrongError as wrong:
        shown = repr(text) if len(text) <= 60 else f"{text[:57]!r}…"
        raise UsageError(f"{flag} {shown}: {wrong.why}; write it like {wrong.example}") from None


class _WrongError(Exception):
    def __init__(self, why: str, example: str = "127.0.0.1:8000") -> None:
        self.why, self.example = why, example


def _split_scheme(text: str, default: str) -> tuple[str, str]:
    match = _SCHEMED.fullmatch(text)
    if match:
        scheme = match[1] or match[3]
        return scheme.lower(), match[2] if match[1] else match[4]
    before, separator, _ = text.partition("://")
    if separator:
        raise _WrongError(f"{before!r} is not one of {', '.join(SCHEMES)}", "tcp://127.0.0.1:8000")
    return default, text


def _path(text: str) -> str:
    path = text
    if text.startswith("//"):
        path = text[2:]
        if not path.startswith("/"):
            raise _WrongError("a relative path has no slashes before it", "unix:x.sock")
    if path in ("", "@"):
        raise _WrongError("the path is missing", "unix:/run/x.sock")
    if "\0" in path:
        raise _WrongError("a path holds no NUL character", "unix:@name")
    try:
        length = len(path.encode(errors="surrogateescape"))
    except UnicodeEncodeError:
        raise _WrongError("the path cannot be encoded", "unix:/run/x.sock") from None
    if length > LONGEST_PATH:
        why = f"the path has {length} bytes where the kernel allows {LONGEST_PATH}"
        raise _WrongError(why, "unix:/run/x.sock")
    return path


def _host_and_port(text: str, default_host: str) -> tuple[str, int]:
    if _NUMBER.fullmatch(text):
        return default_host, _port(text)
    if text.startswith("["):
        match = _BRACKETED.fullmatch(text)
        if not match:
            raise _WrongError("the brackets do not match", "[::1]:8000")
        host, port = match[1], match[2]
        if not _is_ipv6(host):
            raise _WrongError(f"{host!r} in brackets is not an IPv6 address", "[::1]:8000")
    else:
        host, port = _name_and_port(text)
    if not port:
        raise _WrongError("the port is missing", f"{text.rstrip(':')}:8000" if text else "8000")
    return host, _port(port)


def _name_and_port(text: str) -> tuple[str, str]:
    if _is_ipv6(text):
        raise _WrongError("an IPv6 address needs brackets and a port", f"[{text}]:8000")
    host, _, port = text.rpartition(":") if ":" in text else (text, "", "")
    if not host:
        why = "the host is missing" if text else "it is empty"
        raise _WrongError(why, "127.0.0.1:8000, or 0.0.0.0:8000 for every IPv4 interface")
    if len(host) > LONGEST_NAME or _NOT_IN_A_NAME.search(host) or not host.isprintable():
        raise _WrongError("that is not a host name or address")
    return host, port


def _is_ipv6(text: str) -> bool:
    # A zone names an interface; ipaddress lets it hold anything, even spaces and slashes.
    address, percent, zone = text.partition("%")
    if percent and (not zone or _NOT_IN_A_NAME.search(zone) or not zone.isprintable()):
        return False
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return False
    return True


def _port(text: str) -> int:
    return _number(text, "a port", 65535, "127.0.0.1:8000")


def _number(text: str, what: str, largest: int, example: str) -> int:
    if not _NUMBER.fullmatch(text) or int(text) > largest:
        raise _WrongError(f"{text!r} is not {what} (0 to {largest})", example)
    return int(text)
