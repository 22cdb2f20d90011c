"""sd_notify(3): tell the service manager how things stand, in datagrams to its socket.

Only the process that was started by it speaks. `Notifier.claim` takes the
variables out of the environment, so that workers and whatever else the server
starts do not speak for it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager, contextmanager, suppress

log = logging.getLogger("netkit.systemd")

STATUS_EVERY = 2.0
"""Seconds between two status lines."""

KEPT = 8
"""States that wait for room in the manager's queue; the latest ones say all that holds."""

_MICROSECONDS = re.compile(r"[0-9]{1,20}")  # 64 bits; int() would take more and other digits


class Notifier:
    """A service's voice. `close` closes its socket. No method raises or blocks.

    `address` is the manager's socket (a path, or ``@name``), None if there is
    none: then nothing is ever sent. `watchdog`: seconds within which it expects
    a sign of life; 0 if it expects none.
    """

    def __init__(self, address: str | None, watchdog: float = 0.0) -> None:
        self.address = address
        self.watchdog = watchdog
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if address else None
        if self._socket is not None:
            self._socket.setblocking(False)
        self._unsent: deque[str] = deque(maxlen=KEPT)
        self._is_ready = False
        self._is_stopping = False
        self._reloads = 0

    @classmethod
    def claim(cls, environment: MutableMapping[str, str] = os.environ) -> Notifier:
        """As the manager asked in the environment, from which its variables are removed."""
        address = environment.pop("NOTIFY_SOCKET", "")
        usec = environment.pop("WATCHDOG_USEC", "")
        pid = environment.pop("WATCHDOG_PID", "")
        # Anything else is of another family, such as vsock: in virtual machines.
        known = address if len(address) > 1 and address[0] in "/@" else None
        ours = pid in ("", str(os.getpid())) and _MICROSECONDS.fullmatch(usec)
        return cls(known, int(usec) / 1_000_000 if ours else 0.0)

    def close(self) -> None:
        """Say nothing any more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def ready(self) -> None:
        """The service accepts; said once, and after it that a reload is due since its start."""
        if not self._is_ready:
            self._is_ready = True
            self._state("READY=1")
            if self._reloads:
                self._say_reloading()

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """Around a reload, said once the service is ready; of several the last end counts."""
        self._reloads += 1
        if self._is_ready:
            self._say_reloading()
        try:
            yield
        finally:
            self._reloads -= 1
            if self._is_ready and not self._reloads:
                self._state("READY=1")

    def stopping(self) -> None:
        """The service has begun to end; no other state is said after this."""
        self._state("STOPPING=1")
        self._is_stopping = True

    def status(self, text: str) -> None:
        """One line for people, as in ``systemctl status``."""
        self._send("STATUS=" + " ".join(text.split()))

    @asynccontextmanager
    async def reporting(self, status: Callable[[], str]) -> AsyncIterator[None]:
        """Meanwhile feed the watchdog from this loop, and from readiness on say `status()`."""
        tasks = []
        loop = asyncio.get_running_loop()
        if self.address is not None:
            tasks.append(loop.create_task(self._keep_posted(status)))
            if self.watchdog:
                tasks.append(loop.create_task(self._keep_alive()))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep_posted(self, status: Callable[[], str]) -> None:
        while True:
            if self._is_ready:
                self.status(status())
            await asyncio.sleep(STATUS_EVERY)  # the pace of a report, not a wait

    async def _keep_alive(self) -> None:
        while True:
            self._send("WATCHDOG=1")
            await asyncio.sleep(self.watchdog / 2)  # as sd_watchdog_enabled(3) advises

    def _say_reloading(self) -> None:
        # In one datagram: by the time systemd knows which request this answers.
        self._state(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def _state(self, message: str) -> None:
        """Say a state, unless it is too late for any; it waits while the queue is full."""
        if not self._is_stopping:
            self._unsent.append(message)
            self._flush()

    def _send(self, message: str) -> None:
        """Say what does not matter if it is lost."""
        if self._flush():
            with suppress(BlockingIOError):
                self._put(message)

    def _flush(self) -> bool:
        """Send what waits; whether that was all."""
        while self._unsent:
            try:
                self._put(self._unsent[0])
            except BlockingIOError:
                return False
            self._unsent.popleft()
        return True

    def _put(self, message: str) -> None:
        if self._socket is None or self.address is None:
            return
        where = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            self._socket.sendto(message.encode(errors="replace"), where)
        except BlockingIOError:
            raise
        except OSError as error:  # nobody there, or no right to write to it
            log.debug("cannot notify %s: %s", self.address, error)
