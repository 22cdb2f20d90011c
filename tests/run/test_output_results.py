"""Each job's output in files of its own."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netkit.clients.run.output import tree
from netkit.clients.run.output.form import Form
from netkit.clients.run.output.outputs import Outputs
from netkit.clients.run.output.work import Work
from netkit.errors import UsageError
from netkit.subprocesses.retries import Retries
from tests.peers import peer
from tests.run.showing import Run, shown, work


def files(root: Path) -> dict[str, bytes]:
    found = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in found}


async def test_the_tree_is_gnu_parallels(tmp_path: Path) -> None:
    values = ["a", "x y%z", "a/b", "/etc", "back\\slash", "tab\tbed", "é", "-n", "..a", "it's"]
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    await asyncio.to_thread(
        subprocess.run,
        [peer("parallel"), "-k", "--results", str(theirs), "echo {1}-{2}; echo e >&2",
         ":::", *values, ":::", "1", "2"], check=True, capture_output=True,
    )  # fmt: skip
    works: list[Work] = []
    for value in values:
        for other in "12":
            number = len(works) + 1
            quoted = "'" + value.replace("'", "'\\''") + "'"
            words = f"printf '%s\\n' {quoted}-{other}; echo e >&2"
            works.append(Work(number, words, (("1", value), ("2", other))))
    await Run(Form(results=ours), works).run(None, None)
    found = {name: content for name, content in files(ours).items() if not name.endswith("-n")}
    wanted = files(theirs)
    assert found.keys() == wanted.keys()
    escaped = {name for name in wanted if "\\" in name or "-n" in name}  # echo has its own ways
    assert {n: c for n, c in found.items() if n not in escaped} == {
        n: c for n, c in wanted.items() if n not in escaped
    }


async def test_columns_are_sorted_as_gnu_parallel_sorts_them(tmp_path: Path) -> None:
    heads = ["b", "a", "10th", "9th", "B"]
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    sources = [word for head in heads for word in (":::", head, "v" + head)]
    await asyncio.to_thread(
        subprocess.run,
        [peer("parallel"), "--header", ":", "--results", str(theirs), "true", *sources],
        check=True, capture_output=True,
    )  # fmt: skip
    one = Work(1, "true", tuple((head, "v" + head) for head in heads))
    await Run(Form(results=ours), [one]).run(None, None)
    assert files(ours) == files(theirs)


async def test_nothing_is_shown_and_output_is_where_its_arguments_say(tmp_path: Path) -> None:
    line = "echo a; echo b >&2"
    assert await shown(Form(results=tmp_path), line) == (b"", b"")
    folder = tmp_path / "1" / line
    assert files(folder) == {"stdout": b"a\n", "stderr": b"b\n", "seq": b"1"}


@pytest.mark.parametrize("value", ["..", ".", "", "../../x", "/etc/passwd", "a\0b", "x" * 5000])
@pytest.mark.parametrize("named", [False, True])
async def test_no_value_leads_out_of_the_folder(tmp_path: Path, value: str, named: bool) -> None:
    root = tmp_path / "a" / "b" / "c"
    pair = (value, "v") if named else ("1", value)
    await Run(Form(results=root), [Work(1, "echo a", (pair, ("2", "w")))]).run(None, None)
    assert sorted(path.name for path in root.rglob("*") if path.is_file()) == [
        "seq", "stderr", "stdout",
    ]  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["c"]
    depth = {len(path.relative_to(root).parts) for path in root.rglob("stdout")}
    assert depth == {5}


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), unique=True))
def test_different_values_have_different_names(values: list[str]) -> None:
    names = [tree.name(value) for value in values]
    assert len(set(names)) == len(names)
    assert not any("/" in name or "\0" in name or name in ("", ".", "..") for name in names)
    assert all(len(name.encode()) <= tree.LONGEST for name in names)


async def test_a_link_in_the_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "1" / "echo a"
    folder.mkdir(parents=True)
    (tmp_path / "kept").write_text("kept")
    (folder / "stdout").symlink_to(tmp_path / "kept")
    await shown(Form(results=tmp_path), "echo a")
    assert (tmp_path / "kept").read_text() == "kept"
    assert (folder / "stdout").read_text() == "a\n"


async def test_of_two_with_the_same_arguments_one_is_kept_whole(tmp_path: Path) -> None:
    line = "for i in 1 2 3 4 5 6 7 8 9; do echo $$; done"
    await shown(Form(results=tmp_path), *[line] * 8)
    lines = (tmp_path / "1" / line / "stdout").read_text().splitlines()
    assert len(lines) == 9
    assert len(set(lines)) == 1


async def test_only_the_last_attempt_is_kept(tmp_path: Path) -> None:
    await shown(Form(results=tmp_path), "echo a; exit 1", retries=Retries(2, first=0.01))
    assert (tmp_path / "1" / "echo a; exit 1" / "stdout").read_text() == "a\n"


async def test_what_is_there_already_can_be_told(tmp_path: Path) -> None:
    await shown(Form(results=tmp_path), "echo a")
    async with Outputs(Form(results=tmp_path), None, None) as outputs:
        assert outputs.recorded(work(9, "echo a"))
        assert not outputs.recorded(work(1, "echo b"))


async def test_a_folder_that_cannot_be_is_said_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"^--results .*/file/x: Not a directory"):
        await shown(Form(results=tmp_path / "file" / "x"), "echo a")
