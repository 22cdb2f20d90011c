"""IMAP until STARTTLS (RFC 9051 sections 6.2.1 and 7.2.2, which hold for IMAP4rev1 as well).

LOGINDISABLED is announced, and whoever logs in all the same gets NO. Capabilities are those
of this dialogue alone: a client has to ask again under TLS (section 6.2.1).
"""

from __future__ import annotations

import re
from typing import ClassVar

from netkit.starttls.dialogue import Dialogue, Reply, verb

CAPABILITIES = b"CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED"

_TAG = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\+]+')
"""Section 9: any ASTRING-CHAR except "+"."""

_LITERAL = re.compile(rb"\{[0-9]+\+\}$")
"""What a client sends on behind, unasked, which is no command (RFC 7888)."""


class Imap(Dialogue):
    """One IMAP client in the clear."""

    longest: ClassVar[int] = 8000  # RFC 2683 section 3.2.1.5

    def __init__(self, host: str) -> None:
        super().__init__(host)
        self._tag = b"*"
        """The last command's; until then what is said is untagged."""

    def welcome(self) -> bytes:
        """See `Dialogue`."""
        return b"* OK [%b] %b\r\n" % (CAPABILITIES, self.host)

    def answer(self, line: bytes) -> Reply:
        """See `Dialogue`."""
        tag, _, command = line.partition(b" ")
        if _LITERAL.search(line):
            why = "a literal before STARTTLS"
            return Reply(self.goodbye(why), "end", why)
        if not _TAG.fullmatch(tag):
            return self.malformed()
        self._tag = tag
        return self._command(*verb(command))

    def _command(self, command: bytes, rest: bytes) -> Reply:
        match command:
            case b"STARTTLS" | b"CAPABILITY" | b"NOOP" | b"LOGOUT" if rest:
                return self._tagged(b"BAD it takes no arguments")
            case b"STARTTLS":
                return Reply(b"%b OK go ahead with TLS\r\n" % self._tag, "handshake")
            case b"CAPABILITY":
                return self._tagged(b"OK done", b"* %b\r\n" % CAPABILITIES)
            case b"NOOP":
                return self._tagged(b"OK done")
            case b"LOGOUT":
                text = self.goodbye("until next time") + b"%b OK done\r\n" % self._tag
                return Reply(text, "end", "LOGOUT before STARTTLS")
            case b"LOGIN" | b"AUTHENTICATE":
                return self._tagged(b"NO [PRIVACYREQUIRED] STARTTLS first")  # RFC 5530
        return self._tagged(b"BAD STARTTLS first")

    def _tagged(self, text: bytes, before: bytes = b"") -> Reply:
        return Reply(b"%b%b %b\r\n" % (before, self._tag, text))

    def malformed(self) -> Reply:
        """See `Dialogue`."""
        return Reply(b"* BAD this is no command\r\n")

    def refusal(self, why: str) -> bytes:
        """See `Dialogue`."""
        return b"%b BAD %b\r\n%b" % (self._tag, why.encode("ascii"), self.goodbye("closing"))

    def goodbye(self, why: str) -> bytes:
        """See `Dialogue`."""
        return b"* BYE %b\r\n" % why.encode("ascii")
