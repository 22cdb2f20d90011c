"""Command lines, split at ``:::`` and its kin."""

from __future__ import annotations

import pytest

from netkit.clients.run.words import File, Source, Words, split


@pytest.mark.parametrize(
    ("line", "command", "sources"),
    [
        ("gzip -9 {} ::: a b", "gzip -9 {}", [Words(("a", "b"))]),
        ("gzip", "gzip", [File("-")]),
        ("::: a", "", [Words(("a",))]),
        ("echo :::", "echo", [Words(())]),
        ("echo ::: a ::: b c", "echo", [Words(("a",)), Words(("b", "c"))]),
        ("echo ::: a b :::+ c d", "echo", [Words(("a", "b")), Words(("c", "d"), linked=True)]),
        ("echo :::: f - ::: x", "echo", [File("f"), File("-"), Words(("x",))]),
        ("echo ::: x ::::+ f g", "echo", [Words(("x",)), File("f", True), File("g", True)]),
        ("echo ::: -n --jobs --", "echo", [Words(("-n", "--jobs", "--"))]),
        ("echo ::::: ::", "echo ::::: ::", [File("-")]),
    ],
)
def test_splits(line: str, command: str, sources: list[Source]) -> None:
    assert split(line.split()) == (tuple(command.split()), sources)


def test_files_of_options_come_first() -> None:
    assert split(["echo", ":::", "a"], ["f", "-"]) == (
        ("echo",),
        [File("f"), File("-"), Words(("a",))],
    )
