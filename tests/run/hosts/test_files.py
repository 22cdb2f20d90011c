"""Files of jobs: there, back, and removed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netkit.clients.run.hosts import hosts
from netkit.clients.run.hosts.places import Place, place
from netkit.clients.run.hosts.settings import Login, Machines, RemoteCommand
from netkit.clients.run.hosts.spawner import HostsError
from netkit.errors import UsageError
from netkit.subprocesses.command import Command
from tests.run.hosts.jobs import ran, using
from tests.run.hosts.sshd import Sshd

Start = Callable[..., Sshd]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def job(script: str, *sent: str, back: tuple[str, ...] = ()) -> Command:
    return RemoteCommand(
        ("sh", "-c", script), transfer=tuple(map(place, sent)), bring=tuple(map(place, back))
    )


@pytest.mark.parametrize(
    ("given", "there"),
    [
        ("a", "a"), ("./a", "a"), ("a//b", "a/b"), ("/x/y", "/x/y"), ("//x/y", "/x/y"),
        ("/x/./y/z", "y/z"), ("../x/./y", "y"), ("x/.//y", "y"), ("a b\n'", "a b\n'"),
        ("..a/b..", "..a/b.."),
    ],
)  # fmt: skip
def test_where_a_file_is(given: str, there: str) -> None:
    assert place(given) == Place(given, there)


@pytest.mark.parametrize(
    "given", ["", ".", "a/", "..", "../a", "a/../b", "/x/../y", "x/./../y", "a\0"]
)
def test_where_no_file_may_be(given: str) -> None:
    with pytest.raises(UsageError):
        place(given)


async def test_there_and_back(host: Start, here: Path, tmp_path: Path) -> None:
    names = ["one", "sub/it's two", "-n\n", "\udcff"]
    there = tmp_path / "there"
    (here / "sub").mkdir()
    for name in names:
        (here / name).write_bytes(os.urandom(300_000))
    (here / names[1]).chmod(0o750)
    commands = [job('cp -p -- "./$1" "./$1.out"', name, back=(f"{name}.out",)) for name in names]
    commands = [
        RemoteCommand((*each.words, "sh", name), transfer=each.transfer, bring=each.bring)
        for each, name in zip(commands, names, strict=True)
        if isinstance(each, RemoteCommand)
    ]
    async with using(host(), folder=str(there), cleanup=True) as spawner:
        ends, written = await ran(spawner, commands)
        assert [end.status for end in ends.values()] == [0] * 4, (ends, written)
        assert [path for path in there.rglob("*") if path.is_file()] == []
    for name in names:
        assert (here / f"{name}.out").read_bytes() == (here / name).read_bytes()
    assert (here / f"{names[1]}.out").stat().st_mode & 0o777 == 0o750
    assert not there.exists()
    assert not [path for path in here.rglob("*") if ".netkit-" in path.name]


async def test_without_cleanup_files_stay(host: Start, here: Path, tmp_path: Path) -> None:
    (here / "a").write_text("1")
    base = tmp_path / "base"
    base.write_text("#!/bin/sh\ncat a > b\n")
    base.chmod(0o700)
    there = tmp_path / "there"
    settings: dict[str, Any] = {"folder": str(there), "base": (place(f"{tmp_path}/./base"),)}
    async with using(host(), **settings) as spawner:
        ends, _ = await ran(spawner, [job("./base", "a", back=("b",))])
    assert ends[1].status == 0
    assert sorted(path.name for path in there.iterdir()) == ["a", "b", "base"]
    assert (here / "b").read_text() == "1"


async def test_base_files_are_removed_at_the_end(host: Start, here: Path, tmp_path: Path) -> None:
    (here / "base").write_text("x")
    there = tmp_path / "there"
    settings: dict[str, Any] = {"folder": str(there), "base": (place("base"),), "cleanup": True}
    async with using(host(), **settings) as spawner:
        _, written = await ran(spawner, [("cat", "base")] * 3)
    assert written == {(n, "stdout"): b"x" for n in (1, 2, 3)}
    assert not there.exists()


async def test_a_file_that_several_jobs_have(host: Start, here: Path, tmp_path: Path) -> None:
    (here / "a").write_text("x")
    settings: dict[str, Any] = {"folder": str(tmp_path / "there"), "cleanup": True, "jobs": 4}
    async with using(host(), **settings) as spawner:
        ends, _ = await ran(spawner, [job(f"sleep 0.{n % 3}; cat a", "a") for n in range(12)], 4)
    assert {end.status for end in ends.values()} == {0}


async def test_what_does_not_arrive(host: Start, here: Path, tmp_path: Path) -> None:
    os.mkfifo(here / "fifo")
    (here / "folder").mkdir()
    (here / "old").write_text("old")
    async with using(host(), folder=str(tmp_path / "there")) as spawner:
        ends, _ = await ran(
            spawner,
            [
                job("true", "missing"),
                job("true", "fifo"),
                job("true", "folder"),
                job("true", back=("old",)),
                job("exit 3", back=("old",)),
                job("mkfifo pipe", back=("pipe",)),
                job("mkdir folder", back=("folder",)),
            ],
            limit=1,
        )
    assert [(end.reason, end.error) for end in ends.values()] == [
        ("not started", "sh: missing: No such file or directory"),
        ("not started", "sh: fifo: it is no regular file"),
        ("not started", "sh: folder: it is a folder; name the files in it"),
        ("lost", "sh: old: not brought back: No such file"),
        ("exit", ""),
        ("lost", "sh: pipe: not brought back: it is no regular file"),
        ("lost", "sh: folder: not brought back: it is a folder; name the files in it"),
    ]
    assert ends[5].status == 3
    assert (here / "old").read_text() == "old"
    assert sorted(path.name for path in here.iterdir()) == ["fifo", "folder", "old"]


async def test_a_connection_that_is_lost_leaves_no_half_file(
    host: Start, here: Path, tmp_path: Path
) -> None:
    (here / "big").write_bytes(b"x" * 50_000_000)
    sshd, there = host(), tmp_path / "there"
    async with using(sshd, folder=str(there)) as spawner:
        running = asyncio.create_task(ran(spawner, [job("true", "big")]))
        # Another machine's disk tells nobody of what begins on it.
        while not there.exists() or not any(there.iterdir()):
            await asyncio.sleep(0.001)
        sshd.stop()
        with pytest.raises(HostsError, match="no host is left"):
            await spawner.gone()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert not (there / "big").exists()


@pytest.mark.parametrize(
    ("machines", "line"),
    [
        (Machines((), login=Login(Path("no"))), "--ssh-config no: there is no such file"),
        (Machines((), login=Login(identities=(Path("/"),))), "--identity /: there is no such file"),
        (Machines((), base=(Place("no", "no"),)), "--basefile no: there is no such file"),
    ],
)
def test_files_of_ours_that_are_missing(machines: Machines, line: str, here: Path) -> None:
    with pytest.raises(UsageError) as raised:
        hosts(machines, print)
    assert str(raised.value) == line
