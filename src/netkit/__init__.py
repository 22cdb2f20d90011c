"""netkit runs raw asyncio servers the way uvicorn runs ASGI apps.

In reading order:

=================  ==========================================================
`service`          what a server author hands in: a handler, a protocol, a Service
`serving`          `serve` and `run`, the two ways in from Python
`options`          where to listen, with which TLS
`server`           one service in one loop: start, drain, stop
`listeners`        accepting connections, and not accepting them for a while
`connections`      every connection from its arrival to its line in the log
`links`            between a transport and an author's handler or protocol
`descriptions`     what an author says of a connection
`handshakes`       TLS for a connection that has arrived
`proxied`          peers behind a trusted proxy
`sweep`, `drain`   what time brings: limits, and an end without losses
`tls`              contexts, and words for what goes wrong
`certificates`     the development CA and what it signs
`workers`          several processes behind the same addresses
`admin`            what an operator asks of a server that runs
`systemd`          notification, socket activation, units
`observability`    log lines that never block the loop
`catalog`          names become targets
`subprocesses`     commands as child processes: `Runner`
`cli`              the command, one file per verb
`netkit.servers`   the servers that come with it, one lesson each
`netkit.clients`   their clients
=================  ==========================================================
"""

from __future__ import annotations

from netkit.descriptions import conclude, describe
from netkit.errors import CertificateError, NetkitError, NetworkError, StartError, UsageError
from netkit.limits import Limits
from netkit.options import TLS, Binding
from netkit.server import Server
from netkit.service import Service
from netkit.serving import run, serve
from netkit.subprocesses.runner import Runner
from netkit.trust import Proxy
from netkit.version import __version__

__all__ = [
    "TLS",
    "Binding",
    "CertificateError",
    "Limits",
    "NetkitError",
    "NetworkError",
    "Proxy",
    "Runner",
    "Server",
    "Service",
    "StartError",
    "UsageError",
    "__version__",
    "conclude",
    "describe",
    "run",
    "serve",
]
