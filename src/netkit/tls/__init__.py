"""TLS contexts for servers and clients, and words for what goes wrong.

============ ===========================================================
`policy`     what netkit asks of every context: versions, ciphers, key log
`pair`       one certificate with its key, loaded with errors for people
`server`     `ServerTLS`: SNI, mutual TLS, files replaced while it serves
`client`     `client_context`: whom a client trusts, and who it says it is
`reasons`    a failed handshake, or connection, in one line
`unreadable` host names that are not ASCII
`probe`      what certificates a live server shows
============ ===========================================================

The contexts are the standard library's `ssl.SSLContext`: they work unchanged on
asyncio and uvloop. Nothing here opens a socket.
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
