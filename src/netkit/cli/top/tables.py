"""A table whose rows change each second, while its cursor stays where a person left it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from rich.text import Text
from textual.widgets import DataTable

from netkit.cli.top.columns import Column
from netkit.cli.top.rates import Entry, Row
from netkit.cli.top.rows import Order


class Table(DataTable[Text]):
    """Shows rows as they come; `order` is what they should be sorted by."""

    def __init__(
        self,
        columns: Sequence[Column],
        order: Order,
        key: Callable[[Entry], Hashable],
        *,
        id: str,  # noqa: A002  # textual's name for it
    ) -> None:
        super().__init__(id=id, cursor_type="row")
        self.order = order
        self._shown: list[Row] = []
        self._key = key
        self._columns = columns
        self._cells: list[list[str]] = []

    @property
    def selected(self) -> Row | None:
        """The row under the cursor."""
        return self._shown[self.cursor_row] if self.cursor_row < len(self._shown) else None

    def show(self, rows: Sequence[Row]) -> None:
        """Show these.

        The cursor goes with what it is on, wherever that is by now. On the first row it
        stays there: who has not moved it looks at the first, whichever that is.
        """
        if not self.columns:
            self._begin()
        selected = self.selected if self.cursor_row else None
        for number, row in enumerate(rows):
            self._write(number, [column.cell(row) for column in self._columns])
        for number in reversed(range(len(rows), self.row_count)):
            self.remove_row(str(number))
        del self._cells[len(rows) :]
        self._shown = list(rows)
        if selected is not None:
            self._go_to(self._key(selected.entry))

    def sort_by(self, head: str) -> None:
        """Take another column, or the same the other way."""
        column = next(each for each in self._columns if each.head == head)
        same = column is self.order.column
        self.order = self.order.turned() if same else Order.by(column)

    def sort_beside(self, step: int) -> None:
        """Take the column so many to the right."""
        number = self._columns.index(self.order.column) + step
        self.order = Order.by(self._columns[number % len(self._columns)])

    def _begin(self) -> None:
        """Add the columns; textual measures their heads, for which an app must run."""
        for column in self._columns:
            head = self._text(column, column.head)
            self.add_column(head, width=column.width, key=column.head)

    def _write(self, number: int, cells: list[str]) -> None:
        if number == len(self._cells):
            self.add_row(*map(self._text, self._columns, cells), key=str(number))
            self._cells.append(cells)
            return
        for column, cell, before in zip(self._columns, cells, self._cells[number], strict=True):
            if cell != before:
                self.update_cell(str(number), column.head, self._text(column, cell))
        self._cells[number] = cells

    @staticmethod
    def _text(column: Column, cell: str) -> Text:
        return Text(cell, justify="left" if column.is_text else "right", no_wrap=True)

    def _go_to(self, key: Hashable) -> None:
        for number, row in enumerate(self._shown):
            if self._key(row.entry) == key:
                self.move_cursor(row=number)
                return
