"""The text of a beacon or an alert, filled in anew each time it is sent."""

from __future__ import annotations

import socket
import string
from datetime import UTC, datetime

from netkit.errors import UsageError

PLACEHOLDERS = ("time", "unix", "sequence", "host")


class Template:
    """A text with placeholders: ``{time}``, ``{unix}``, ``{sequence}``, ``{host}``."""

    def __init__(self, text: str) -> None:
        self._text = text
        try:
            names = {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
        except ValueError as error:
            raise UsageError(f"--message: {error}; write {{{{ for a brace") from None
        if unknown := sorted(names - set(PLACEHOLDERS)):
            known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
            raise UsageError(f"--message: {{{unknown[0]}}} is not known; there are {known}")
        self.constant = not names
        """Whether it is the same each time."""
        self._host = socket.gethostname()

    def fill(self, sequence: int, now: float) -> bytes:
        """The text of number `sequence` at `now` (Unix time)."""
        moment = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")
        return self._text.format(
            time=moment.replace("+00:00", "Z"), unix=f"{now:.6f}", sequence=sequence,
            host=self._host,
        ).encode()  # fmt: skip
