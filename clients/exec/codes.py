"""How a job ended, as an exit status and in words."""

from __future__ import annotations

from netkit.jobs.messages import Exit

_WORDS = {
    "timeout": "ended by its time limit, after {seconds:.0f} s",
    "output": "ended: it wrote more than it may",
    "killed": "ended by its caller",
    "server": "ended by the server, which goes down",
    "disconnected": "ended: its caller was gone",
    "lost": "lost by the server",
}


def status(end: Exit) -> int:
    """As a shell has it: 128 and a signal's number, 127 for what never ran; else as ssh's 255."""
    if end.status is not None:
        return end.status
    if end.signal is not None:
        return 128 + end.signal
    return 127 if end.reason == "not started" else 255


def remark(end: Exit) -> str:
    """What a person has to be told; empty if the program ended by itself."""
    words = _WORDS.get(end.reason, "").format(seconds=end.seconds)
    text = ": ".join(filter(None, (words, end.error)))
    return text if text.isprintable() else ascii(text)
