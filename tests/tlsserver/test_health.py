"""When an upstream is up, as transcripts: + a success, - a failure; what turned it."""

from __future__ import annotations

import asyncio

import pytest

from netkit.servers.tls.health import Health, watch


def turns(transcript: str, rise: int = 2, fall: int = 3) -> str:
    """For each success or failure ``^`` if it came up by that, ``v`` if down, ``.`` if neither."""
    health, told = Health(rise, fall), ""
    for each in transcript:
        turned = health.passed() if each == "+" else health.failed()
        told += ("^" if health.up else "v") if turned else "."
    return told


@pytest.mark.parametrize(
    ("transcript", "told"),
    [
        ("-", "v"),  # nothing speaks for it
        ("+--", "..."),
        ("+---", "...v"),
        ("+--+--+", "......."),
        ("+---++", "...v.^"),
        ("+---+-+-++", "...v.....^"),
        ("+---------", "...v......"),
        ("-++--", "v.^.."),
        ("-++---", "v.^..v"),
    ],
)
def test_transcripts(transcript: str, told: str) -> None:
    assert turns(transcript) == told


def test_once_is_enough_if_so_asked() -> None:
    assert turns("+-+-", rise=1, fall=1) == ".v^v"


async def test_a_watch_tells_of_each_check() -> None:
    results = [None, OSError("no"), TimeoutError("late"), None]
    told: list[str] = []
    over = asyncio.Event()

    async def attempt() -> None:
        if not results:
            over.set()
            await asyncio.Event().wait()
        error = results.pop(0)
        if error:
            raise error

    task = asyncio.create_task(
        watch(attempt, lambda: told.append("+"), lambda error: told.append(str(error)), 0)
    )
    await over.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert told == ["+", "no", "late", "+"]
