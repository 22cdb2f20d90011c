"""What a TLS client says first: the ClientHello (RFC 8446 section 4.1.2), taken apart.

It comes in the clear, so that a server may look at what a client offers, and at its
`fingerprints`. `parse` has no socket and no clock. It takes whatever bytes there are and
gives a `ClientHello`, or raises `WrongHelloError`, nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

LONGEST = 65_536
"""Bytes of records that are looked at; a hello with post-quantum keys has about 1,800."""

LONGEST_RECORD = 16_384
"""Bytes of a record's content (RFC 8446 section 5.1)."""

HANDSHAKE, CLIENT_HELLO = 22, 1
"""A record's type, and a handshake message's (RFC 8446 sections 5.1 and 4)."""

# Extensions that are taken apart: IANA's registry "TLS ExtensionType Values".
SERVER_NAME, GROUPS, POINT_FORMATS, SIGNATURES, ALPN = 0, 10, 11, 13, 16
SESSION_TICKET, PRE_SHARED_KEY, EARLY_DATA, VERSIONS, KEY_SHARE = 35, 41, 42, 43, 51


class WrongHelloError(Exception):
    """The bytes are no whole ClientHello; the message says why, in one line."""


@dataclass(frozen=True)
class ClientHello:
    """What a client offers, as numbers in its order, those of GREASE (RFC 8701) among them."""

    version: int
    """``legacy_version``: 0x0303 for whoever knows TLS 1.3, whose offer is `versions`."""
    random: bytes
    session_id: bytes
    """Of a session to resume in TLS 1.2; without meaning in 1.3 (RFC 8446 appendix D.4)."""
    suites: tuple[int, ...]
    compressions: tuple[int, ...]
    extensions: tuple[int, ...]
    versions: tuple[int, ...] = ()
    groups: tuple[int, ...] = ()
    point_formats: tuple[int, ...] = ()
    signatures: tuple[int, ...] = ()
    alpn: tuple[bytes, ...] = ()
    server_name: str | None = None
    """As it was sent, lower case or not, but `readable`."""
    key_shares: tuple[int, ...] = ()
    """The groups for which it sent a public key at once, to save a round trip."""
    ticket: bool = False
    """Whether it has a session ticket of TLS 1.2 (RFC 5077)."""
    pre_shared_keys: int = 0
    """How many sessions, or keys known beforehand, it offers to go on with in TLS 1.3."""
    early_data: bool = False

    @cached_property
    def newest(self) -> int:
        """The newest version that it knows."""
        return max(without_grease(self.versions), default=self.version)


def is_grease(number: int) -> bool:
    """Whether a client sends a number only to keep servers tolerant (RFC 8701 section 2)."""
    return number & 0x0F0F == 0x0A0A and number >> 8 == number & 0xFF


def without_grease(numbers: tuple[int, ...]) -> list[int]:
    """Those that mean something, in their order."""
    return [each for each in numbers if not is_grease(each)]


def readable(name: bytes) -> str:
    """A name of the client's in one line: what is not printable ASCII is written ``\\xNN``."""
    return "".join(chr(each) if 0x20 <= each < 0x7F else f"\\x{each:02x}" for each in name)


def parse(records: bytes) -> ClientHello:
    """Take apart the hello that a connection begins with, in one TLS record or in several.

    What comes after it is not looked at. Raises `WrongHelloError` if it is cut short,
    longer than `LONGEST`, or not what RFC 8446 says.
    """
    reader = Reader(_message(records[:LONGEST]))
    version, random = reader.number(2), reader.take(32)
    session_id = reader.vector(1).rest()
    suites = tuple(reader.vector(2).numbers(2))
    compressions = tuple(reader.vector(1).rest())
    extensions = tuple(_extensions(reader))
    bodies = dict(extensions)
    if len(bodies) < len(extensions):
        raise WrongHelloError("it has an extension twice (RFC 8446 section 4.2)")
    return ClientHello(
        version,
        random,
        session_id,
        suites,
        compressions,
        tuple(bodies),
        versions=_list(bodies, VERSIONS, 1, 2),
        groups=_list(bodies, GROUPS, 2, 2),
        point_formats=_list(bodies, POINT_FORMATS, 1, 1),
        signatures=_list(bodies, SIGNATURES, 2, 2),
        alpn=_alpn(bodies),
        server_name=_server_name(bodies),
        key_shares=_key_shares(bodies),
        ticket=bool(bodies.get(SESSION_TICKET)),
        pre_shared_keys=_identities(bodies),
        early_data=EARLY_DATA in bodies,
    )


def server_name(records: bytes) -> str | None:
    """The host name of a hello, and nothing else of it.

    Raises `WrongHelloError` if what stands before that name is wrong.
    """
    reader = Reader(_message(records[:LONGEST]))
    reader.take(2 + 32)
    for size in (1, 2, 1):  # session id, suites, compressions
        reader.take(reader.number(size))
    for extension, body in _extensions(reader):
        if extension == SERVER_NAME:
            return _server_name({SERVER_NAME: body})
    return None


class Reader:
    """Takes numbers and vectors (RFC 8446 section 3.4) from bytes, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def __bool__(self) -> bool:
        return self._place < len(self._data)

    def take(self, size: int) -> bytes:
        """So many bytes."""
        end = self._place + size
        if end > len(self._data):
            raise WrongHelloError(f"it ends {end - len(self._data)} bytes early")
        found, self._place = self._data[self._place : end], end
        return found

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self._data) - self._place)

    def number(self, size: int) -> int:
        """A number of so many bytes."""
        return int.from_bytes(self.take(size))

    def numbers(self, size: int) -> Iterator[int]:
        """All that is left, as numbers of so many bytes."""
        while self:
            yield self.number(size)

    def vector(self, size: int) -> Reader:
        """What stands behind its length, which is a number of so many bytes."""
        return Reader(self.take(self.number(size)))


def _message(records: bytes) -> bytes:
    """The hello's body, from as many records as it takes."""
    reader, found = Reader(records), b""
    while True:
        if (kind := reader.number(1)) != HANDSHAKE:
            raise WrongHelloError(f"a record has type {kind}, not handshake (22)")
        reader.number(2)  # legacy_record_version: to be ignored (RFC 8446 section 5.1)
        size = reader.number(2)
        if not 0 < size <= LONGEST_RECORD:
            raise WrongHelloError(f"a record of {size} bytes; it may have 1 to {LONGEST_RECORD}")
        found += reader.take(size)
        if found[0] != CLIENT_HELLO:
            raise WrongHelloError(f"a handshake message of type {found[0]}, not ClientHello (1)")
        length = int.from_bytes(found[1:4])
        if len(found) >= 4 and length > LONGEST:
            raise WrongHelloError(f"{length} bytes are too long for a hello")
        if len(found) >= 4 + length:
            return found[4 : 4 + length]


def _extensions(reader: Reader) -> Iterator[tuple[int, bytes]]:
    """Numbers and bodies; none at all before TLS 1.3 from clients that know of none."""
    if not reader:
        return
    block = reader.vector(2)
    if reader:
        raise WrongHelloError("bytes are left behind its extensions")
    while block:
        yield block.number(2), block.vector(2).rest()


def _inside(bodies: Mapping[int, bytes], extension: int, size: int) -> Reader:
    """The one vector that an extension holds; an empty one if the extension is not there."""
    if extension not in bodies:
        return Reader(b"")
    reader = Reader(bodies[extension])
    found = reader.vector(size)
    if reader:
        raise WrongHelloError(f"bytes are left in extension {extension}")
    return found


def _list(bodies: Mapping[int, bytes], extension: int, size: int, each: int) -> tuple[int, ...]:
    """An extension that is a list of numbers; `size` is of its length, `each` of a number."""
    return tuple(_inside(bodies, extension, size).numbers(each))


def _alpn(bodies: Mapping[int, bytes]) -> tuple[bytes, ...]:
    """RFC 7301 section 3.1."""
    reader, found = _inside(bodies, ALPN, 2), []
    while reader:
        found.append(reader.vector(1).rest())
    return tuple(found)


def _server_name(bodies: Mapping[int, bytes]) -> str | None:
    """The first host name (RFC 6066 section 3); there is no other kind of name."""
    reader = _inside(bodies, SERVER_NAME, 2)
    while reader:
        kind, name = reader.number(1), reader.vector(2).rest()
        if kind == 0:
            return readable(name)
    return None


def _key_shares(bodies: Mapping[int, bytes]) -> tuple[int, ...]:
    """RFC 8446 section 4.2.8."""
    reader, found = _inside(bodies, KEY_SHARE, 2), []
    while reader:
        found.append(reader.number(2))
        reader.vector(2)
    return tuple(found)


def _identities(bodies: Mapping[int, bytes]) -> int:
    """How many pre-shared keys are offered (RFC 8446 section 4.2.11)."""
    if PRE_SHARED_KEY not in bodies:
        return 0
    reader, count = Reader(bodies[PRE_SHARED_KEY]).vector(2), 0
    while reader:
        reader.vector(2)
        reader.take(4)  # obfuscated_ticket_age
        count += 1
    return count
