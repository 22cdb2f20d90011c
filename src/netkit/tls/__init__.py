"""TLS: contexts for servers and clients, a transport, and words for what goes wrong.

============== ===========================================================
`policy`       what netkit asks of every context: versions, ciphers, key log
`groups`       which groups keys are agreed on with, and how OpenSSL is told
`pair`         one certificate with its key, loaded with errors for people
`choosing`     which pairs are for a host name
`server`       `ServerTLS`: SNI, mutual TLS, files replaced while it serves
`client`       `client_context`: whom a client trusts, and who it says it is
`secured`      a socket with OpenSSL tied to it
`hearing`      what the client says first, left there for the handshake
`shaking`      the handshake on it
`transport`    an asyncio transport on it, once hands are shaken
`closing`      the end of one direction
`connecting`   all of that for a connection outwards
`reasons`      a failed handshake, or connection, in one line
`unreadable`   host names that are not ASCII
`probe`        what certificates a live server shows
`hello`        what a client says first, taken apart
`registry`     names of the numbers in it
`fingerprints` what kind of client says so: JA3 and JA4
`replay`       the group that a server agrees on for it
============== ===========================================================

The contexts are the standard library's `ssl.SSLContext`: they work unchanged on
asyncio and uvloop, and with the loops' own TLS. Nothing here opens a socket.
"""

from __future__ import annotations

from netkit.tls.client import client_context
from netkit.tls.reasons import Reason, client_reason, server_reason
from netkit.tls.server import ServerTLS, TLSOptions

__all__ = [
    "Reason",
    "ServerTLS",
    "TLSOptions",
    "client_context",
    "client_reason",
    "server_reason",
]
