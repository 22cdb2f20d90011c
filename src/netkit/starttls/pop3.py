"""POP3 until STLS, as its STARTTLS is called (RFC 2595 section 4; RFC 1939, RFC 2449)."""

from __future__ import annotations

from typing import ClassVar

from netkit.starttls.dialogue import Dialogue, Reply, verb


class Pop3(Dialogue):
    """One POP3 client in the clear."""

    longest: ClassVar[int] = 255  # RFC 2449 section 4
    speaks_unasked: ClassVar[bool] = False  # RFC 1939 section 3, on the time limit

    def welcome(self) -> bytes:
        """See `Dialogue`."""
        return b"+OK %b\r\n" % self.host

    def answer(self, line: bytes) -> Reply:
        """See `Dialogue`."""
        command, rest = verb(line)
        match command:
            case b"STLS" | b"CAPA" | b"QUIT" if rest:
                return Reply(b"-ERR it takes no arguments\r\n")
            case b"STLS":
                return Reply(b"+OK go ahead with TLS\r\n", "handshake")
            case b"CAPA":
                return Reply(b"+OK\r\nSTLS\r\n.\r\n")
            case b"QUIT":
                return Reply(b"+OK until next time\r\n", "end", "QUIT before STLS")
        return Reply(b"-ERR STLS first\r\n")

    def malformed(self) -> Reply:
        """See `Dialogue`."""
        return Reply(b"-ERR control characters in a command\r\n")

    def refusal(self, why: str) -> bytes:
        """See `Dialogue`."""
        return b"-ERR %b\r\n" % why.encode("ascii")

    def goodbye(self, why: str) -> bytes:
        """See `Dialogue`."""
        return self.refusal(why)
