"""IRC until STARTTLS (IRCv3's ``tls`` extension, deprecated and still in use; RFC 1459).

The client asks before it registers. NICK, USER and PASS in the clear are refused, so that
no password is asked for twice, once for everybody to read.
"""

from __future__ import annotations

from typing import ClassVar

from netkit.starttls.dialogue import Dialogue, Reply, verb


class Irc(Dialogue):
    """One IRC client in the clear."""

    longest: ClassVar[int] = 512  # RFC 1459 section 2.3

    def welcome(self) -> bytes:
        """See `Dialogue`: an IRC server waits for the client."""
        return b""

    def answer(self, line: bytes) -> Reply:
        """See `Dialogue`."""
        command, rest = verb(line)
        match command:
            case b"":
                return Reply(b"")  # RFC 1459 section 2.3.1: empty messages are ignored
            case b"STARTTLS":
                return Reply(self._said(b"670 * :go ahead with TLS"), "handshake")
            case b"CAP":
                return Reply(self._capabilities(*verb(rest)))
            case b"PING":
                return Reply(self._said(b"PONG %b :%b" % (self.host, rest.removeprefix(b":"))))
            case b"QUIT":
                return Reply(self.goodbye("until next time"), "end", "QUIT before STARTTLS")
        return Reply(self._said(b"451 * %b :STARTTLS first" % command))

    def _capabilities(self, command: bytes, rest: bytes) -> bytes:
        """Answer IRCv3's capability negotiation: ``tls`` may be asked for, and changes nothing."""
        match command:
            case b"LS":
                return self._said(b"CAP * LS :tls")
            case b"LIST":
                return self._said(b"CAP * LIST :")
            case b"REQ":
                wanted = rest.removeprefix(b":").strip(b" ")
                verdict = b"ACK" if wanted == b"tls" else b"NAK"
                return self._said(b"CAP * %b :%b" % (verdict, wanted))
            case b"END":
                return b""
        return self._said(b"410 * %b :no such CAP command" % (command or b"*"))

    def _said(self, text: bytes) -> bytes:
        return b":%b %b\r\n" % (self.host, text)

    def malformed(self) -> Reply:
        """See `Dialogue`."""
        return Reply(self._said(b"421 * * :control characters in a command"))

    def refusal(self, why: str) -> bytes:
        """See `Dialogue`."""
        return self._said(b"691 * :%b" % why.encode("ascii")) + self.goodbye(why)

    def goodbye(self, why: str) -> bytes:
        """See `Dialogue`."""
        return b"ERROR :%b\r\n" % why.encode("ascii")
