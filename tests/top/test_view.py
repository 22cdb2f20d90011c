"""The live view against a real server, in this loop; textual's pilot presses the keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from netkit.addresses import Address
from netkit.cli.top.dialogs import Help, Line, Question
from netkit.cli.top.sample import sampled
from netkit.cli.top.tables import Table
from netkit.cli.top.view import Top
from tests.admin.test_http import administered
from tests.runtime.talkers import Talker

Pressing = Pilot[None]


class Watched:
    """A server, clients of it, and the view with somebody at its keys."""

    def __init__(self, app: Top, pilot: Pressing, talkers: list[Talker]) -> None:
        self.app, self.pilot, self.talkers = app, pilot, talkers
        self.connections = app.query_one("#connections", Table)
        self.workers = app.query_one("#workers", Table)

    def text(self, where: str) -> str:
        return str(self.app.screen_stack[0].query_one(f"#{where}", Static).content)

    def column(self, head: str) -> list[str]:
        return [cell.plain for cell in self.connections.get_column(head)]

    async def until(self, true: Callable[[], object]) -> None:
        """Let the app run until something is true of it; the test's time limit ends it else."""
        while not true():
            await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()


@asynccontextmanager
async def connected(port: int, count: int) -> AsyncIterator[list[Talker]]:
    """Clients of an echo server; the first has sent 1 byte, the second 2, and so on."""
    talkers = []
    try:
        for number in range(1, count + 1):
            talkers.append(await Talker.connect(port))
            await talkers[-1].write(b"x" * number)
            assert await talkers[-1].read()
        yield talkers
    finally:
        for talker in talkers:
            talker.sock.close()


@asynccontextmanager
async def watching(where: str, count: int = 3, interval: float = 0.1) -> AsyncIterator[Watched]:
    async with administered(where) as (_, admin, port), connected(port, count) as talkers:
        app = Top(admin, interval, await sampled(admin))
        async with app.run_test(size=(150, 40)) as pilot:
            watched = Watched(app, pilot, talkers)
            await watched.until(lambda: watched.connections.row_count == count)
            yield watched


def peer_of(talker: Talker) -> str:
    return "{}:{}".format(*talker.sock.getsockname())


@pytest.fixture
def admin(tmp_path: Path) -> str:
    return f"unix:{tmp_path}/admin.sock"


async def test_what_is_shown(admin: str) -> None:
    async with watching(admin) as watched:
        assert set(watched.column("PEER")) == {peer_of(each) for each in watched.talkers}
        assert watched.text("title").startswith(f"{admin}  netkit ")
        assert watched.text("of-connections") == "Connections: 3 by IN/s ▼"
        await watched.until(lambda: "open 3  accepted 0/s  in 0 B/s" in watched.text("totals"))
        assert watched.workers.row_count == 1
        talker = await Talker.connect(watched.talkers[0].sock.getpeername()[1])
        await watched.until(lambda: watched.connections.row_count == 4)
        talker.sock.close()
        await watched.until(lambda: watched.connections.row_count == 3)


async def test_sorting_by_keys_and_by_clicks(admin: str) -> None:
    async with watching(admin) as watched:
        for _ in range(2):
            await watched.press("greater_than_sign")
        assert watched.text("of-connections").endswith("by IN ▼")
        assert [text.strip() for text in watched.column("IN")] == ["3 B", "2 B", "1 B"]
        await watched.press("R")
        assert watched.text("of-connections").endswith("by IN ▲")
        assert [text.strip() for text in watched.column("IN")] == ["1 B", "2 B", "3 B"]
        await watched.press("less_than_sign")
        assert watched.text("of-connections").endswith("by OUT/s ▼")
        await watched.pilot.click("#connections", offset=(2, 0))
        await watched.until(lambda: watched.text("of-connections").endswith("by WORKER ▼"))
        await watched.pilot.click("#connections", offset=(2, 0))
        await watched.until(lambda: watched.text("of-connections").endswith("by WORKER ▲"))
        assert watched.text("of-workers") == "Workers: 1 by WORKER ▲"
        await watched.press("tab", "R")
        assert watched.text("of-workers") == "Workers: 1 by WORKER ▼"


async def test_the_cursor_goes_with_its_connection(admin: str) -> None:
    async with watching(admin) as watched:
        await watched.press("greater_than_sign", "greater_than_sign", "down", "down")
        chosen = watched.connections.selected
        assert chosen is not None
        assert chosen.entry["received"] == 1
        await watched.press("R")
        assert watched.connections.cursor_row == 0
        assert watched.connections.selected is not None
        assert watched.connections.selected.entry["id"] == chosen.entry["id"]


async def test_a_filter(admin: str) -> None:
    async with watching(admin) as watched:
        _, port = watched.talkers[1].sock.getsockname()
        await watched.press("slash")
        assert isinstance(watched.app.screen, Line)
        await watched.press(*str(port), "enter")
        assert watched.column("PEER") == [f"127.0.0.1:{port}"]
        assert f"1 with '{port}' by" in watched.text("of-connections")
        await watched.press("slash", "escape")
        assert watched.connections.row_count == 1
        await watched.press("slash", "ctrl+u", "enter")
        await watched.until(lambda: watched.connections.row_count == 3)


def key_of(letter: str) -> str:
    return {".": "full_stop", ":": "colon"}.get(letter, letter)


async def test_k_disconnects_after_a_question(admin: str) -> None:
    async with watching(admin) as watched:
        await watched.press("greater_than_sign", "greater_than_sign")  # by IN: the third talker's
        await watched.press("k")
        assert isinstance(watched.app.screen, Question)
        await watched.press("n", "k", "escape")
        assert watched.connections.row_count == 3
        await watched.press("k", "y")
        await watched.until(lambda: watched.connections.row_count == 2)
        with suppress(ConnectionResetError):
            assert await watched.talkers[2].read() == b""
        await watched.talkers[0].write(b"still here")
        assert await watched.talkers[0].read() == b"still here"
        assert peer_of(watched.talkers[2]) not in watched.column("PEER")


async def test_over_tcp_it_only_looks() -> None:
    async with watching("tcp://127.0.0.1:0") as watched:
        assert watched.text("title").endswith("  read-only")
        await watched.press("k")
        assert not isinstance(watched.app.screen, Question)
        (told,) = watched.app._notifications
        assert "it changes nothing over TCP" in told.message


async def test_pause_and_go_on(admin: str) -> None:
    async with watching(admin, interval=1000) as watched:
        await watched.press("p")
        assert watched.text("title").endswith("  paused")
        watched.talkers[0].sock.close()
        await watched.press("R")  # what is known is still sorted
        assert watched.connections.row_count == 3
        await watched.press("p")
        assert not watched.text("title").endswith("  paused")
        await watched.until(lambda: watched.connections.row_count == 2)


async def test_another_interval(admin: str) -> None:
    async with watching(admin, interval=1000) as watched:
        for text, complaint in (("0.01", "0.01: give 0.1 to 3600 seconds"), ("x", "x: give a")):
            await watched.press("r", "ctrl+u", *map(key_of, text), "enter")
            assert complaint in list(watched.app._notifications)[-1].message
        watched.talkers[0].sock.close()
        await watched.press("r", "ctrl+u", *map(key_of, "0.1"), "enter")
        await watched.until(lambda: watched.connections.row_count == 2)


async def test_a_server_that_is_gone_and_comes_back(admin: str) -> None:
    async with AsyncExitStack() as outer:
        inner = await outer.enter_async_context(AsyncExitStack())
        _, address, port = await inner.enter_async_context(administered(admin))
        talkers = await inner.enter_async_context(connected(port, 2))
        app = Top(address, 0.1, await sampled(address))
        pilot = await outer.enter_async_context(app.run_test(size=(150, 40)))
        watched = Watched(app, pilot, talkers)
        await watched.until(lambda: watched.connections.row_count == 2)
        await watched.press("question_mark")  # what is told is told under a dialog too
        assert isinstance(app.screen, Help)
        await inner.aclose()
        await watched.until(lambda: watched.text("news"))
        assert watched.text("news") == f"no answer from {admin}; trying again"
        await watched.press("x")
        assert not isinstance(app.screen, Help)
        _, _, port = await outer.enter_async_context(administered(admin))
        await outer.enter_async_context(connected(port, 1))
        await watched.until(lambda: watched.connections.row_count == 1)
        assert watched.text("news") == ""


async def test_of_many_connections_the_first_are_shown(
    admin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netkit.cli.top.view.MOST_ROWS", 2)
    async with administered(admin) as (_, address, port), connected(port, 3):
        app = Top(address, 0.1, await sampled(address))
        async with app.run_test(size=(150, 40)) as pilot:
            watched = Watched(app, pilot, [])
            await watched.until(lambda: watched.connections.row_count == 2)
            assert watched.text("of-connections") == "Connections: the first 2 of 3 by IN/s ▼"


async def test_refreshes_never_overlap(admin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asking = most = asked = 0

    async def counted(address: Address) -> Any:
        nonlocal asking, most, asked
        asking, asked = asking + 1, asked + 1
        most = max(most, asking)
        try:
            return await sampled(address)
        finally:
            asking -= 1

    monkeypatch.setattr("netkit.cli.top.view.sampled", counted)
    async with watching(admin, interval=0.0) as watched:
        await watched.press("k", "y", "p", "p")
        await watched.until(lambda: asked > 20)
    assert most == 1
