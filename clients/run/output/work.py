"""What is known of a job before it starts, by whoever shows and records it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Work:
    """One job, beside the `Command` that the engine gets."""

    number: int
    """Its place among all rows, counted from 1, those that `--resume` skips too."""
    line: str
    """The command as a person would type it, for the joblog."""
    arguments: tuple[tuple[str, str], ...] = ()
    """The name of a column, or the number of an input source as "1", and its value."""
    tag: str = ""
    """What stands before each line of its output; a tab is put behind it."""

    @property
    def values(self) -> str:
        """Its arguments in one line, as `{}` has them."""
        return " ".join(value for _, value in self.arguments)
