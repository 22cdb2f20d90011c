"""Quote of the day: a short saying for whoever asks (RFC 865).

Start it, with its own sayings or with yours, then ask::

    netkit serve qotd
    netkit serve qotd --quotes sayings.txt
    ncat --recv-only 127.0.0.1 8017

A file of quotes is UTF-8 text with one on each line, or in the format of ``fortune``:
quotes of several lines with a line ``%`` between them. It is read once, before the server
listens. RFC 865 wants quotes shorter than 512 bytes; longer ones in the file are skipped.

Over UDP a quote is cut to the length of the question; ``--amplify`` sends it whole.
"""

from __future__ import annotations

import asyncio
import random
import re
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar, Final, Self

from netkit import Service, UsageError
from netkit.servers.datagrams import Answering
from netkit.servers.once import SayOnce
from netkit.service import DatagramFactory, ProtocolFactory

LONGEST_QUOTE: Final = 511
"""Bytes of a quote with its last line end: RFC 865 says fewer than 512."""
LARGEST_FILE: Final = 1024 * 1024
"""Bytes of a file of quotes: some ten thousand of them, and little memory."""
SEPARATOR: Final = re.compile(r"^%\s*$", re.MULTILINE)

SAYINGS: Final = """\
TCP delivers the bytes in order. Where a message ends is your business.
A timeout is a guess about somebody else's bad day.
Nagle waits to fill the segment, delayed ACK waits for data to ride on: both mean well.
Port 0 means: any free port, and please tell me which.
A datagram arrives whole, twice, late, or not at all.
An empty read is not nothing. It is goodbye.
The network is reliable until the demonstration.
Buffers do not cure a slow reader. They only postpone the diagnosis.
Closing a socket with unread data sends a reset. Read before you leave.
A queue without a bound is a memory leak with good manners.
Localhost is the only network on which everything works.
Retry with jitter, or all of you will meet again at the same second.
"""


def parse_quotes(text: str) -> list[bytes]:
    """Quotes as they are sent, in UTF-8 with CRLF line ends, without those too long to send."""
    found = SEPARATOR.split(text) if SEPARATOR.search(text) else text.splitlines()
    quotes = ["\r\n".join(quote.strip().splitlines()).encode() + b"\r\n" for quote in found]
    return [quote for quote in quotes if 2 < len(quote) <= LONGEST_QUOTE]


def read_quotes(path: Path) -> list[bytes]:
    """Read a file of quotes; `UsageError` if it cannot be used. Blocks: call it in a thread."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise UsageError(f"--quotes {path}: {error.strerror}") from None
    if len(content) > LARGEST_FILE:
        raise UsageError(f"--quotes {path}: larger than {LARGEST_FILE} bytes; use fewer quotes")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise UsageError(f"--quotes {path}: not UTF-8 text; convert it with iconv") from None
    quotes = parse_quotes(text)
    if not quotes:
        raise UsageError(f"--quotes {path}: holds no quote of 1 to {LONGEST_QUOTE - 2} bytes")
    return quotes


@dataclass
class Qotd(Service):
    """Answer with a saying, over TCP and UDP (RFC 865)."""

    port: ClassVar[int] = 8017

    quotes: Path | None = field(
        default=None, metadata={"help": "file of quotes, one a line or with lines of % between"}
    )
    amplify: bool = field(
        default=False, metadata={"help": "let a UDP answer be longer than its question"}
    )

    def __post_init__(self) -> None:
        self.sayings = parse_quotes(SAYINGS)

    async def __aenter__(self) -> Self:
        if self.quotes is not None:
            self.sayings = await asyncio.to_thread(read_quotes, self.quotes)
        return self

    def say(self) -> bytes:
        """Any of the quotes."""
        return random.choice(self.sayings)  # noqa: S311 - a quote is no secret

    def stream(self) -> ProtocolFactory:
        """One quote for each connection."""
        return partial(SayOnce, self.say)

    def datagram(self) -> DatagramFactory:
        """One answering protocol for each UDP socket."""
        return partial(Answering, lambda room: self.say(), amplify=self.amplify)
