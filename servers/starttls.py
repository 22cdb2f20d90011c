"""STARTTLS: a line server that turns to TLS in the middle, by asyncio's own means.

Start it, then let a client turn to TLS, and say EHLO, NOOP or QUIT::

    netkit serve starttls
    openssl s_client -quiet -crlf -starttls smtp -connect 127.0.0.1:8025

It speaks as much of SMTP as the lesson takes (RFC 5321, RFC 3207) and accepts no mail.
What the switch has to get right:

1. A client must wait for the reply to STARTTLS. What is there behind that line all the
   same was put there by somebody else, in the clear, to be run as the client's own words
   under TLS (CVE-2011-0411; aiosmtpd had it until 2024, CVE-2024-34083). Refuse it.
2. Stop reading before you reply: what comes next is TLS, and not for your buffer.
3. Forget everything. A new protocol object has nothing that could survive the switch.
4. With TLS 1.3 the client's first words can arrive together with the end of its
   handshake: before `loop.start_tls` returns, the new protocol may hear them.

A protocol does this, since an `asyncio.StreamReader` cannot: it reads ahead, and has no
public way to ask what it holds. In Pythons without the mending of cpython#142352, and on
uvloop, that survives ``writer.start_tls()``, and is read afterwards as if TLS had brought
it; the writers that netkit gives to stream handlers hand it to TLS, where it fails.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final, Self, cast

from netkit import TLS, Service
from netkit.service import ProtocolFactory

HOST: Final = "starttls.example"
LONGEST: Final = 512
"""Bytes of a line, with its end (RFC 5321 section 4.5.3.1.4)."""

HANDSHAKE_TIMEOUT: Final = 10.0
"""Seconds that a client has for its TLS handshake."""


class Conversation(asyncio.Protocol):
    """One client in the clear, while there is a context to turn to TLS with; then another one."""

    transport: asyncio.Transport
    ready = False
    client = "nobody"

    def __init__(self, context: ssl.SSLContext | None, turning: set[asyncio.Task[None]]) -> None:
        self.context = context
        self.turning = turning
        self.buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, but not again under TLS."""
        self.transport = cast("asyncio.Transport", transport)
        self.ready = True
        if self.context is not None:
            self.say(f"220 {HOST} ESMTP")
        self.go_on()

    def data_received(self, data: bytes) -> None:
        """Take what came; under TLS that may be before `connection_made` (4)."""
        self.buffer += data
        self.go_on()

    def go_on(self) -> None:
        """Answer the lines that are whole."""
        while self.ready and not self.transport.is_closing():
            end = self.buffer.find(b"\n", 0, LONGEST) + 1
            if not end:
                if len(self.buffer) >= LONGEST:
                    self.leave("500 line too long")
                return
            line = self.buffer[:end].decode("ascii", "replace").split()
            del self.buffer[:end]
            self.answer(*line or [""])

    def answer(self, verb: str, *words: str) -> None:
        """Answer one command."""
        match verb.upper():
            case "EHLO" if words:
                self.client = words[0]
                self.say(*([f"250 {HOST}"] if self.secured else [f"250-{HOST}", "250 STARTTLS"]))
            case "NOOP":
                over = self.secured.version() if self.secured else "nothing"
                self.say(f"250 you are {self.client}, over {over}")
            case "STARTTLS" if self.context is not None:
                self.turn(self.context)
            case "STARTTLS":
                self.say("503 this is TLS already")
            case "QUIT":
                self.leave("221 until next time")
            case _:
                self.say("500 EHLO, NOOP, STARTTLS and QUIT are all I know")

    def turn(self, context: ssl.SSLContext) -> None:
        """Turn to TLS: the last thing that this object does."""
        if self.buffer:  # (1)
            self.leave("554 nothing may follow STARTTLS before the TLS handshake")
            return
        self.transport.pause_reading()  # (2)
        self.ready = False
        self.say("220 go ahead with TLS")
        task = asyncio.get_running_loop().create_task(self.shake_hands(context))
        self.turning.add(task)
        task.add_done_callback(self.turning.discard)

    async def shake_hands(self, context: ssl.SSLContext) -> None:
        """Have another object go on under TLS; if it fails, the loop closes the connection."""
        after = Conversation(None, self.turning)  # (3)
        with suppress(OSError):  # ssl.SSLError, a reset; ConnectionAbortedError if it is too slow
            secured: Any = await asyncio.get_running_loop().start_tls(
                self.transport,
                after,
                context,
                server_side=True,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT,
            )
            after.connection_made(secured)

    def pause_writing(self) -> None:
        """Hear no more from a client that does not take our answers."""
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Read again, but not what is TLS's (2)."""
        if self.ready:
            self.transport.resume_reading()

    @property
    def secured(self) -> Any:
        """TLS, of which one can ask the version or the client's certificate; None in the clear."""
        return self.transport.get_extra_info("ssl_object")

    def say(self, *lines: str) -> None:
        """Send lines."""
        self.transport.write("".join(f"{line}\r\n" for line in lines).encode("ascii", "replace"))

    def leave(self, line: str) -> None:
        """Send a last line."""
        self.say(line)
        self.transport.close()


@dataclass
class StartTLS(Service):
    """Begin in the clear and turn to TLS when the client asks for it, with loop.start_tls."""

    port: ClassVar[int] = 8025

    cert: Path | None = field(
        default=None,
        metadata={"help": "certificate chain and key (PEM)  [default: made here, for development]"},
    )

    async def __aenter__(self) -> Self:
        """Load the certificate."""
        files = () if self.cert is None else (self.cert,)
        self.context = TLS(tls=True, ssl_certfile=files).load().context
        self.turning: set[asyncio.Task[None]] = set()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Await the handshakes that were cut."""
        await asyncio.gather(*self.turning)

    def stream(self) -> ProtocolFactory:
        """One protocol for each connection, until it turns to TLS; then a second one."""
        return lambda: Conversation(self.context, self.turning)
