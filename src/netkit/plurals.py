"""Counts as people read them: 1 worker, 2 workers."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """A number of things whose plural ends in s."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
