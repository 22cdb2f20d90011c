"""What is refused to a caller, and in which words."""

from __future__ import annotations

from typing import Literal, TypeAlias

Code: TypeAlias = Literal["denied", "argument", "busy", "gone", "limit", "ending", "unavailable"]


class RefusedError(Exception):
    """A job that will not be: `code` for programs, the text for people.

    ========== ==========================================================
    denied     no such command, or it is not for this caller: never which
    argument   a value is missing, too many, or not as the list wants it
    busy       the queue is full
    gone       no such detached job of this caller
    limit      too much of something else at once
    ending     the server is going down
    unavailable something here does not work; the server's log says what
    ========== ==========================================================
    """

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code: Code = code
