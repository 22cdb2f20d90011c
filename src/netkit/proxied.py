"""The transport that authors get behind a trusted proxy: it names the real peer."""

from __future__ import annotations

import asyncio
from typing import Any

from netkit.proxy_protocol import Header

FORWARDED = (
    "_force_close",  # asyncio's start_tls() calls it
    "abort",
    "can_write_eof",
    "close",
    "get_protocol",
    "get_write_buffer_limits",
    "get_write_buffer_size",
    "is_closing",
    "is_reading",
    "pause_reading",
    "resume_reading",
    "set_protocol",
    "set_write_buffer_limits",
    "write",
    "write_eof",
    "writelines",
)


class Proxied(asyncio.Transport):
    """A transport whose ``peername`` and ``sockname`` are those that the proxy told.

    ``get_extra_info("proxy_header")`` is the `netkit.proxy_protocol.Header`. Every
    method is a slot that holds the loop's own, so a call costs what it does there.

    `loop.start_tls` takes it on asyncio; uvloop wants a transport of its own, which
    is `inner`. What uvloop makes of that names the proxy again.
    """

    __slots__ = (*FORWARDED, "_told", "inner")

    _start_tls_compatible = True

    def __init__(self, inner: asyncio.Transport, header: Header) -> None:
        self.inner = inner
        """The loop's own transport."""
        self._told: dict[str, Any] = {"proxy_header": header}
        if header.source is not None:
            self._told |= {"peername": header.source, "sockname": header.destination}
        for name in FORWARDED:
            setattr(self, name, getattr(inner, name))

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """See `asyncio.BaseTransport`."""
        if name in self._told:
            return self._told[name]
        return self.inner.get_extra_info(name, default)
