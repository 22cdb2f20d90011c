"""SMTP until STARTTLS (RFC 3207, on top of RFC 5321).

Everything but EHLO, NOOP, QUIT and STARTTLS gets 530, as section 4 of RFC 3207 has it for
a server that demands TLS. So it is for submission and for closed circles: a server that
takes mail from everyone must not demand it (ibid.).
"""

from __future__ import annotations

from typing import ClassVar

from netkit.starttls.dialogue import Dialogue, Reply, verb


class Smtp(Dialogue):
    """One SMTP client in the clear."""

    longest: ClassVar[int] = 512  # RFC 5321 section 4.5.3.1.4

    def welcome(self) -> bytes:
        """See `Dialogue`."""
        return b"220 %b ESMTP\r\n" % self.host

    def answer(self, line: bytes) -> Reply:
        """See `Dialogue`."""
        command, rest = verb(line)
        match command:
            case b"STARTTLS" if rest:
                return Reply(b"501 STARTTLS takes no parameters\r\n")
            case b"STARTTLS":
                return Reply(b"220 go ahead with TLS\r\n", "handshake")
            case b"EHLO" if rest:
                # No PIPELINING here: what follows STARTTLS must wait for its reply.
                return Reply(b"250-%b\r\n250 STARTTLS\r\n" % self.host)
            case b"EHLO":
                return Reply(b"501 EHLO needs your name\r\n")
            case b"NOOP":
                return Reply(b"250 OK\r\n")
            case b"QUIT":
                return Reply(b"221 %b closes\r\n" % self.host, "end", "QUIT before STARTTLS")
        return Reply(b"530 Must issue a STARTTLS command first\r\n")

    def malformed(self) -> Reply:
        """See `Dialogue`."""
        return Reply(b"500 control characters in a command\r\n")

    def refusal(self, why: str) -> bytes:
        """See `Dialogue`."""
        return b"554 %b\r\n" % why.encode("ascii")

    def goodbye(self, why: str) -> bytes:
        """See `Dialogue`."""
        return b"421 %b %b\r\n" % (self.host, why.encode("ascii"))
