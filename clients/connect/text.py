"""What happens to text on its way; each keeps what it must across chunks."""

from __future__ import annotations

import codecs
import re

_BARE_LF = re.compile(rb"(?<!\r)\n")

# C0 but tab and newline, DEL, C1, and the characters that reorder or hide text
# (CVE-2021-42574): all that could drive a terminal or lie about what a line says.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class CRLF:
    """Ends our lines as most Internet protocols want: a bare LF becomes CR LF."""

    def __init__(self) -> None:
        self._last_was_cr = False

    def __call__(self, data: bytes) -> bytes:
        """Return the next chunk with its line ends mended."""
        kept = b"\r" if self._last_was_cr and data.startswith(b"\n") else b""
        self._last_was_cr = data.endswith(b"\r")
        return _BARE_LF.sub(b"\r\n", kept + data)[len(kept) :]


class Harmless:
    """Makes a peer's bytes safe to show on a terminal: ``ESC`` comes out as ``^[``.

    Bytes that are not UTF-8 become U+FFFD. CR LF is shown as a newline, a lone CR as ``^M``.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held_cr = ""

    def __call__(self, data: bytes) -> bytes:
        """Return the next chunk as it may be shown, in UTF-8."""
        text = self._held_cr + self._decoder.decode(data)
        # The newline of a CR at the end may come with the next chunk.
        self._held_cr = "\r" if text.endswith("\r") else ""
        text = text.removesuffix("\r").replace("\r\n", "\n")
        return _UNSAFE.sub(_visible, text).encode()


def _visible(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x80:
        return f"^{chr(code ^ 0x40)}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
