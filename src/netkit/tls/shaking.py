"""The TLS handshake on a non-blocking socket, the same for servers and clients.

Once `secured` has tied OpenSSL to the socket itself, ``do_handshake()`` goes on as far
as it can without waiting, and says what it waits for: bytes of the peer's
(`ssl.SSLWantReadError`), or room to send (`ssl.SSLWantWriteError`).
"""

from __future__ import annotations

import asyncio
import ssl

from netkit.tls.secured import Secured


class Shaking:
    """A handshake that is under way; a subclass says what follows it.

    Once, unless it is stopped before, `shaken` is called or `failed`. The socket stays the
    caller's, however it ends.
    """

    _secured: Secured
    _loop: asyncio.AbstractEventLoop
    _reads = _writes = False
    """Whether the loop looks for something to read, or for room to write."""

    def shaken(self, watched: bool) -> None:
        """Go on, once hands are shaken.

        `watched`: the loop still looks for something to read, for nobody. Whoever reads next
        calls ``add_reader`` in its place, which takes no system call, or ``remove_reader``.
        """
        raise NotImplementedError

    def failed(self, error: OSError) -> None:
        """Hear of an `ssl.SSLError`, whose alert the peer has been sent, or another OSError."""
        raise NotImplementedError

    def shake_hands(self, secured: Secured) -> None:
        """Begin, and go as far as it goes without waiting."""
        self._secured = secured
        self._loop = asyncio.get_running_loop()
        self._go_on_shaking()

    def stop_shaking(self) -> None:
        """Go on no more. Does nothing if it is over."""
        if self._reads:
            self._reads = False
            self._loop.remove_reader(self._secured.fileno())
        if self._writes:
            self._writes = False
            self._loop.remove_writer(self._secured.fileno())

    def _go_on_shaking(self) -> None:
        try:
            self._secured.do_handshake()
        except ssl.SSLWantReadError:
            if not self._reads:
                self.stop_shaking()
                self._reads = True
                self._loop.add_reader(self._secured.fileno(), self._go_on_shaking)
        except ssl.SSLWantWriteError:
            if not self._writes:
                self.stop_shaking()
                self._writes = True
                self._loop.add_writer(self._secured.fileno(), self._go_on_shaking)
        except OSError as error:
            self.stop_shaking()
            self.failed(error)
        else:
            if self._writes:
                self.stop_shaking()
            self.shaken(self._reads)


class _Awaited(Shaking):
    """A handshake that a task waits for."""

    def __init__(self) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def shaken(self, watched: bool) -> None:
        self.done.set_result(None)

    def failed(self, error: OSError) -> None:
        self.done.set_exception(error)


async def shake_hands(secured: Secured) -> None:
    """Do the handshake in a task; raises what `Shaking.failed` hears of."""
    shaking = _Awaited()
    try:
        shaking.shake_hands(secured)
        await shaking.done
    finally:
        shaking.stop_shaking()
