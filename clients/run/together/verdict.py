"""The exit status of the whole, from those of its parts.

What we ended ourselves is nobody's failure: a server that is told to go when the tests
are through ends by TERM, and the tests have passed all the same. Only who asks for one
entry by name gets its status however it ended.
"""

from __future__ import annotations


class Verdict:
    """Takes ends in their order; `success` is that of `Settings`."""

    def __init__(self, success: str) -> None:
        self._success = success
        self._codes: list[int] = []
        self._named: int | None = None

    def ended(self, name: str, code: int, *, by_us: bool) -> None:
        """An entry has ended for good, with this status as a shell has it."""
        if not by_us:
            self._codes.append(code)
        if name == self._success:
            self._named = code

    @property
    def status(self) -> int:
        """Ours."""
        match self._success:
            case "all":
                return next((code for code in self._codes if code), 0)
            case "first":
                return next(iter(self._codes), 0)
            case "last":
                return next(reversed(self._codes), 0)
        return 1 if self._named is None else self._named  # 1: it was never started
