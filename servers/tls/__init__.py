"""TLS as asyncio has it: a server that shows each caller what was negotiated.

Try it: ``netkit serve tls``, then open https://localhost:8443/, or
``curl https://localhost:8443/`` or ``openssl s_client -connect localhost:8443``.

The four parts of TLS in a server, and where each is to be read:

1. Context: certificate, versions, suites, whom to trust. One `ssl.SSLContext`, made before
   anything listens: `netkit.tls.policy`, `netkit.tls.server`.
2. Handshake: `netkit.tls.shaking` does it when a connection has come; what it has agreed on
   is asked of ``transport.get_extra_info("ssl_object")``: `facts`.
3. Identity: ours is the certificate, the client's is `certificates`, if it must show one.
4. Shutdown: each side says that it has ended, by close_notify, so that nobody on the way
   can cut the end off unseen: `info`, and `netkit.tls.closing`.

In reading order:

============== ==============================================================
`info`         a connection from its handshake to its end
`asking`       which answer a client wants: a page, JSON, or text
`facts`        what was negotiated, and what the client had offered
`certificates` the client's certificate, and why it is trusted
`words`        facts in words; text and JSON
`page`         facts for a browser
============== ==============================================================

With ``--to`` it stands in front of something else: ``netkit serve tls --to localhost:8080``.
With ``--originate`` it is the other way round: plain text in, TLS out. In reading order:

============ ================================================================
`relay`      two ends, and what comes at one goes out at the other
`routes`     where to, by what the client asked for: SNI and ALPN
`upstreams`  one upstream, and the several of a route
`health`     whether an upstream is up
`dialing`    connecting to one
`greeted`    its greeting, where the client had ours (--starttls)
`originate`  TLS on the way there
`commands`   a command as an upstream
`identity`   who the client is, told by PROXY protocol
`relays`     all of them, and their end
`settings`   the flags
============ ================================================================
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import ClassVar, Self

from netkit.addresses import Address
from netkit.certificates.folder import ca_path, folder
from netkit.servers.tls.info import tell
from netkit.servers.tls.relay import Arrival
from netkit.servers.tls.settings import Settings
from netkit.service import Figure, ProtocolFactory, StreamHandler
from netkit.subprocesses.helpers import Helpers


@dataclass
class Tls(Settings):
    """Show each caller what TLS has negotiated, or stand in front of something (--to)."""

    port: ClassVar[int] = 8443

    def __post_init__(self) -> None:
        super().__post_init__()
        # It is shown; and where it matters which host a client asks for, nothing else tells.
        named = bool(self.route) or self.send_proxy == "v2"
        self.keeps_hello = named or not self.relays_something

    def encrypts(self) -> bool:
        """Always, without ``--tls``; but for ``--originate``, which encrypts the other side."""
        return not self.originate

    def alpn(self) -> tuple[str, ...]:
        """Browsers and curl are answered in HTTP/1.1; relays offer what their routes name."""
        if not self.relays_something:
            return ("http/1.1",)
        return tuple(dict.fromkeys(each for route in self.written for each in route.protocols))

    def commands(self, address: Address) -> tuple[str, ...]:
        """For those who ask what was negotiated."""
        if self.relays_something or address.scheme != "tls":
            return ()
        port = address.port
        return (
            f"curl --cacert {shlex.quote(str(ca_path(folder())))} https://localhost:{port}/",
            f"openssl s_client -quiet -connect localhost:{port}",
        )

    def stream(self) -> StreamHandler | ProtocolFactory:
        """What serves a connection once its handshake is done."""
        return self._arrival if self.relays_something else tell

    def _arrival(self) -> Arrival:
        return self._relays.arrival()

    async def __aenter__(self) -> Self:
        self._spawner = Helpers()
        self._relays = self.relays(self._spawner)
        self._relays.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """1. end the relays, 2. then the helpers that start commands."""
        await self._relays.close()
        await self._spawner.close()

    async def drain(self) -> None:
        """Let open relays go on, until the grace period is nearly over."""
        await self._relays.emptied()

    def figures(self) -> Mapping[str, Figure]:
        """Count what an operator wants to know of relays."""
        return self._relays.figures() if self.relays_something else {}
