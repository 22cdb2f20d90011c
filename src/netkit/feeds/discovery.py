"""What a broadcaster says of its feed by DNS-SD (RFC 6763): a name, and a TXT record.

The service type is `TYPE`. These are the record's keys; others are left alone:

=================  ==========================================================
``txtvers=1``      the version of this list; what has another is not for us
``format=1``       the version of the datagrams (docs/feed-format.md), or
``raw``            that they are payloads alone
``sender``         the sender's name, 8 hex digits; not with ``raw``
``seal``           ``hmac`` or ``ed25519``, if they are sealed
``to``, ``to2`` …  where they are sent, ``239.1.2.3:9999``: up to `MOST`
``subscribe``      the port at which listeners may subscribe
=================  ==========================================================

Anybody on the link can announce anything, under any name: only a key tells who sends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from netkit.addresses import Address, parse
from netkit.errors import UsageError
from netkit.feeds.format import VERSION, Flag, MalformedError
from netkit.feeds.resolving import as_ip

TYPE = "_netkit-feed._udp.local."
"""The service type (RFC 6763 section 7)."""
MOST = 16
"""Destinations that one announcement tells."""
LONGEST = 1300
"""Bytes of a TXT record: so much fits into one packet (RFC 6763 section 6.2)."""
LONGEST_NAME = 60
"""Bytes of a name: a label has 63 (RFC 1035 section 2.3.4), and ``-2`` may be put behind it."""

Seal = Literal["hmac", "ed25519"]

_NOT_IN_A_NAME = re.compile(r"[.:/\[\]%]")
_HEX = re.compile(rb"[0-9a-f]{8}")
_PORT = re.compile(rb"[1-9][0-9]{0,4}")


@dataclass(frozen=True, slots=True)
class Announced:
    """A feed as a TXT record describes it."""

    sender: int | None
    """None of a raw feed, whose datagrams name nobody."""
    destinations: tuple[Address, ...] = ()
    """Addresses, never names, and without zones: those hold on one machine alone."""
    subscribe: int | None = None
    """The port for subscriptions."""
    seal: Seal | None = None

    @property
    def raw(self) -> bool:
        """Whether its datagrams are payloads alone."""
        return self.sender is None


def is_name(text: str) -> bool:
    """Whether this names a feed; what has a port, or is nothing but digits, is an address."""
    return bool(
        0 < len(text.encode(errors="replace")) <= LONGEST_NAME
        and text.isprintable()
        and text == text.strip()
        and not text.isdecimal()
        and not _NOT_IN_A_NAME.search(text)
    )


def checked(name: str) -> str:
    """The name, if a feed may have it. Raises `UsageError`."""
    if not is_name(name):
        raise UsageError(
            f"--announce {name!r}: give a name of 1 to {LONGEST_NAME} bytes that is no number and "
            "has none of . : / [ ] %, such as 'Line 3'"
        )
    return name


def seal(flag: Flag) -> Seal:
    """The name of the kind of seal that has this flag in a header."""
    return "hmac" if flag is Flag.HMAC else "ed25519"


def encode(announced: Announced) -> bytes:
    """The TXT record. Raises `UsageError` if it has more destinations than `MOST`."""
    if len(announced.destinations) > MOST:
        raise UsageError(f"--announce tells at most {MOST} destinations through one interface")
    strings = ["txtvers=1"]
    if announced.sender is None:
        strings.append("raw")
    else:
        strings += [f"format={VERSION}", f"sender={announced.sender:08x}"]
    if announced.seal:
        strings.append(f"seal={announced.seal}")
    for key, destination in zip(_keys(), announced.destinations, strict=False):
        strings.append(f"{key}={_without_zone(destination).authority}")
    if announced.subscribe is not None:
        strings.append(f"subscribe={announced.subscribe}")
    return b"".join(bytes((len(each),)) + each.encode() for each in strings)


def decode(text: bytes) -> Announced:
    """What a TXT record says. Raises `MalformedError` with the key at fault, or ``size``."""
    if len(text) > LONGEST:
        raise MalformedError("size")
    told = _attributes(text)
    if told.get("txtvers") != b"1":
        raise MalformedError("txtvers")
    subscribe = told.get("subscribe")
    announced = Announced(
        None if "raw" in told else _sender(told),
        tuple(_destination(told[key]) for key in _keys() if key in told),
        None if subscribe is None else _port(subscribe),
        _seal(told),
    )
    if not announced.destinations and announced.subscribe is None:
        raise MalformedError("to")
    return announced


def _keys() -> Iterator[str]:
    yield "to"
    yield from (f"to{number}" for number in range(2, MOST + 1))


def _attributes(text: bytes) -> dict[str, bytes]:
    """Keys in lower case, of which the first counts, as RFC 6763 section 6.4 has it."""
    found: dict[str, bytes] = {}
    at = 0
    while at < len(text):
        end = at + 1 + text[at]
        if end > len(text):
            raise MalformedError("size")
        key, _, value = text[at + 1 : end].partition(b"=")
        found.setdefault(key.decode("ascii", "replace").lower(), value)
        at = end
    return found


def _sender(told: dict[str, bytes]) -> int:
    if told.get("format") != b"%d" % VERSION:
        raise MalformedError("format")
    sender = told.get("sender", b"").lower()
    if not _HEX.fullmatch(sender):
        raise MalformedError("sender")
    return int(sender, 16)


def _seal(told: dict[str, bytes]) -> Seal | None:
    match told.get("seal"):
        case None:
            return None
        case b"hmac":
            return "hmac"
        case b"ed25519":
            return "ed25519"
        case _:
            raise MalformedError("seal")


def _port(text: bytes) -> int:
    if not _PORT.fullmatch(text) or int(text) > 65535:
        raise MalformedError("subscribe")
    return int(text)


def _destination(text: bytes) -> Address:
    try:
        address = parse(text.decode("ascii"), default_scheme="udp")
    except (UnicodeDecodeError, UsageError):
        raise MalformedError("to") from None
    # A name would have us ask whom somebody else likes; a zone is one of his machine.
    if address.scheme != "udp" or not address.port or "%" in address.host:
        raise MalformedError("to")
    if as_ip(address.host) is None:
        raise MalformedError("to")
    return address


def _without_zone(address: Address) -> Address:
    return replace(address, host=address.host.partition("%")[0])
