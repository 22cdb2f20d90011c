"""The live view: asks again and again, shows what came, and does what its keys say."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, Footer, Static

from netkit.addresses import Address
from netkit.cli.admin_client import ask
from netkit.cli.printable import printable
from netkit.cli.top.columns import CONNECTIONS, WORKERS, count
from netkit.cli.top.dialogs import Help, Line, Question
from netkit.cli.top.plain import BUSIEST, summary, title
from netkit.cli.top.rates import Row, Sample, compared, connection_key, worker_key
from netkit.cli.top.rows import Order, holding, ordered
from netkit.cli.top.sample import WAIT, checked_interval, sampled
from netkit.cli.top.tables import Table
from netkit.errors import NetkitError, UsageError

MOST_ROWS = 200
"""Connections shown: more than a person reads, and few enough to change all in 50 ms."""


class Top(App[None]):
    """Shows one server until q is pressed. `first` is a sample taken just before."""

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Static { height: auto; }
    #title { text-style: bold; }
    #news { color: $error; display: none; }
    #news.told { display: block; }
    .caption { margin-top: 1; text-style: bold; }
    #workers { height: auto; max-height: 30%; }
    #connections { height: 1fr; }
    .stale { opacity: 50%; }
    ModalScreen { align: center middle; }
    .dialog { width: auto; max-width: 90%; padding: 0 1; border: round $accent; }
    Input.dialog { width: 60; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True),
        Binding("less_than_sign", "sort_beside(-1)", "Sort", key_display="<"),
        Binding("greater_than_sign", "sort_beside(1)", "Sort", key_display=">"),
        Binding("R", "turn", "Other way"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("k", "disconnect", "Disconnect"),
        Binding("p", "pause", "Pause"),
        Binding("r", "interval", "Interval"),
        Binding("question_mark", "help", "Help", key_display="?"),
    ]

    def __init__(self, address: Address, interval: float, first: Sample) -> None:
        super().__init__()
        self._address, self._interval = address, interval
        self._last: Sample | None = first
        self._picture = compared(None, first)
        self._filter = ""
        self._going, self._nudged = asyncio.Event(), asyncio.Event()
        self._going.set()
        self._worker_table = Table(WORKERS, Order.by(WORKERS[0]).turned(), worker_key, id="workers")
        self._connection_table = Table(
            CONNECTIONS, Order.by(BUSIEST), connection_key, id="connections"
        )

    def compose(self) -> ComposeResult:
        """See textual."""
        yield Static(id="title", markup=False)
        yield Static(id="totals", markup=False)
        yield Static(id="news", markup=False)
        yield Static(id="of-workers", classes="caption", markup=False)
        yield self._worker_table
        yield Static(id="of-connections", classes="caption", markup=False)
        yield self._connection_table
        yield Footer()

    def on_mount(self) -> None:
        """Show what is known, and go on asking."""
        self._connection_table.focus()
        self._show()
        self.run_worker(self._follow())

    # ---- asking ----

    async def _follow(self) -> None:
        """Ask, one time after the other, until the app ends and cancels this."""
        took = 0.0
        while self.is_running:
            # A server that takes long for an answer is asked the less often.
            await self._rest(max(self._interval - took, took))
            await self._going.wait()
            asked = time.monotonic()
            await self._ask()
            took = time.monotonic() - asked

    async def _rest(self, seconds: float) -> None:
        """Wait so long, or until something was done whose effect one wants to see."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._nudged.wait()
        self._nudged.clear()

    async def _ask(self) -> None:
        try:
            now = await sampled(self._address)
        except NetkitError:
            now = None
        if not self.is_running:
            return  # it has been quit meanwhile: there is nothing to show it on
        if now is None:
            self._tell(f"no answer from {self._address}; trying again")
        else:
            self._picture = compared(self._last, now)
            self._tell("")
            self._show()
        self._last = now

    def _tell(self, news: str) -> None:
        self._write("news", news).set_class(bool(news), "told")
        for table in (self._worker_table, self._connection_table):
            table.set_class(bool(news), "stale")

    # ---- showing ----

    def _show(self) -> None:
        picture = self._picture
        notes = [] if self._may_change else ["read-only"]
        notes += [] if self._going.is_set() else ["paused"]
        heading = "  ".join([title(picture, str(self._address)), *notes])
        self._write("title", heading)
        self._write("totals", summary(picture))
        workers = ordered(picture.workers, self._worker_table.order)
        self._worker_table.show(workers[:MOST_ROWS])
        of_workers = f"Workers: {count(len(workers))} by {self._worker_table.order}"
        self._write("of-workers", of_workers)
        found = holding(picture.connections, self._filter)
        shown = ordered(found, self._connection_table.order)[:MOST_ROWS]
        self._connection_table.show(shown)
        self._write("of-connections", self._caption(len(shown), len(found)))

    def _write(self, where: str, text: str) -> Static:
        # Not the topmost screen: a dialog may be open.
        line = self.screen_stack[0].query_one(f"#{where}", Static)
        line.update(text)
        return line

    def _caption(self, shown: int, found: int) -> str:
        order = self._connection_table.order
        first = f"the first {count(shown)} of " if shown < found else ""
        with_text = f" with {self._filter!r}" if self._filter else ""
        return f"Connections: {first}{count(found)}{with_text} by {order}"

    @property
    def _may_change(self) -> bool:
        return self._address.scheme == "unix"

    # ---- keys ----

    def on_data_table_header_selected(self, event: DataTable.HeaderSelected) -> None:
        """Sort by the column whose head was clicked."""
        assert isinstance(event.data_table, Table)
        event.data_table.sort_by(str(event.column_key.value))
        self._show()

    def action_sort_beside(self, step: int) -> None:
        """Sort by the column beside."""
        self._focused_table().sort_beside(step)
        self._show()

    def action_turn(self) -> None:
        """Sort the other way."""
        table = self._focused_table()
        table.order = table.order.turned()
        self._show()

    def _focused_table(self) -> Table:
        return self._worker_table if self._worker_table.has_focus else self._connection_table

    def action_pause(self) -> None:
        """Ask no more, or again."""
        if self._going.is_set():
            self._going.clear()
        else:
            self._going.set()
            self._nudged.set()
        self._show()

    def action_help(self) -> None:
        """Say what the keys do."""
        self.push_screen(Help())

    def action_filter(self) -> None:
        """Ask for a text, and show the connections that have it."""

        def chosen(text: str | None) -> None:
            if text is not None:
                self._filter = text
                self._show()

        self.push_screen(Line("Connections with this text; empty: all", self._filter), chosen)

    def action_interval(self) -> None:
        """Ask for another interval."""

        def chosen(text: str | None) -> None:
            try:
                if text:
                    self._interval = checked_interval(float(text))
            except UsageError as error:
                self._complain(str(error))
            except ValueError:
                self._complain(f"{text}: give a number of seconds")
            else:
                self._nudged.set()

        self.push_screen(Line("Seconds from one look to the next", f"{self._interval:g}"), chosen)

    def action_disconnect(self) -> None:
        """Cut the connection under the cursor, if that is what is wanted."""
        row = self._connection_table.selected
        if not self._may_change:
            self._complain("it changes nothing over TCP; give the server's unix: address")
        elif row is not None:
            who = f"{row.entry['id']} of worker {row.entry['worker']}, {row.entry['peer']}"

            def answered(yes: bool | None) -> None:
                if yes:
                    self.run_worker(self._cut(row))

            self.push_screen(Question(f"Disconnect {printable(who)}?"), answered)

    async def _cut(self, row: Row) -> None:
        worker, pid, number = connection_key(row.entry)
        which = f"worker={worker}&id={number}" + (f"&pid={pid}" if pid else "")
        try:
            await ask(self._address, "POST", f"/kick?{which}", wait=WAIT)
        except NetkitError as error:
            self._complain(str(error))
        self._nudged.set()

    def _complain(self, text: str) -> None:
        self.notify(text, severity="warning", markup=False)
