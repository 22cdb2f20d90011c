"""STARTTLS: a line protocol begins in the clear, and goes on under TLS when the client says so.

In reading order:

=============  ==========================================================
`dialogue`     what all have in common: lines, their bounds, the way to the switch
`smtp`         mail submission and relay (RFC 3207)
`imap`         mailboxes (RFC 9051)
`pop3`         mailboxes, the old way (RFC 2595)
`irc`          chat (IRCv3's deprecated ``tls``)
`greeting`     the same protocols' first words, taken from a server behind us
`cleartext`    a connection until its STARTTLS, on the raw socket
=============  ==========================================================

All but the last are without I/O: lines in, replies out. None of them offers more than
the way to TLS, so that nothing said in the clear can matter after it.
"""

from __future__ import annotations

from typing import Literal

from netkit.starttls.dialogue import Dialogue
from netkit.starttls.greeting import Greeting, WrongGreetingError
from netkit.starttls.imap import Imap
from netkit.starttls.irc import Irc
from netkit.starttls.pop3 import Pop3
from netkit.starttls.smtp import Smtp

__all__ = ["DIALOGUES", "Dialogue", "Greeting", "Name", "WrongGreetingError"]

Name = Literal["imap", "irc", "pop3", "smtp"]
"""The protocols, as ``--starttls`` takes them."""

DIALOGUES: dict[Name, type[Dialogue]] = {"imap": Imap, "irc": Irc, "pop3": Pop3, "smtp": Smtp}
