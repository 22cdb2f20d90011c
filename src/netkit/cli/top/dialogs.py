"""What the live view asks, and its help."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import ModalScreen
from textual.widgets import Input, Static

HELP = """\
<  >      sort by the column to the left, to the right
R         sort the other way
click     on a column's head: sort by it, and again: the other way
tab       from one table to the other: sorting is for the one with the cursor

/         show the connections that have a text in peer, listener, TLS, id or SAYS
k         disconnect the connection under the cursor, after a question
p         pause, and go on
r         seconds from one look to the next
q         quit

IN and OUT are seen from the server. LAG: how late its loop woke up.
QUIET: time since the peer's last byte. held up: the worker gives no answer.
The cursor goes with its connection; on the first row it stays there."""


class Question(ModalScreen[bool]):
    """Asks for y or n."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("y", "answer(True)", "Yes"),
        ("n", "answer(False)", "No"),
        ("escape", "answer(False)", "No"),
    ]

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        """See textual."""
        yield Static(f"{self._text} (y/n)", markup=False, classes="dialog")

    def action_answer(self, answer: bool) -> None:
        """Give it."""
        self.dismiss(answer)


class Line(ModalScreen[str | None]):
    """Asks for a line of text; None where it is taken back."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss(None)", "Leave")]

    def __init__(self, label: str, text: str) -> None:
        super().__init__()
        self._label, self._text = label, text

    def compose(self) -> ComposeResult:
        """See textual."""
        entry = Input(self._text, max_length=200, classes="dialog")
        entry.border_title = self._label
        yield entry

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Give it."""
        self.dismiss(event.value.strip())


class Help(ModalScreen[None]):
    """Says what the keys do."""

    def compose(self) -> ComposeResult:
        """See textual."""
        yield Static(HELP, markup=False, classes="dialog")

    def on_key(self) -> None:
        """Any key ends it."""
        self.dismiss()
