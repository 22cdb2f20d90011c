"""What a job gets instead of ours: only spawn helpers can."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from netkit.subprocesses.command import Command, NotStartedError, Surroundings
from netkit.subprocesses.helpers import Helpers
from tests.subprocesses.jobs import Told, ran

root = pytest.mark.skipif(os.getuid() != 0, reason="only root may become somebody else")


async def told_by(helpers: Helpers, line: str, around: Surroundings) -> list[str]:
    told = await ran(helpers, Command(("sh", "-c", line), surroundings=around))
    assert not told.output("stderr")
    return told.output().decode().split()


async def test_mask_niceness_and_processors(helpers: Helpers) -> None:
    last = max(os.sched_getaffinity(0))
    around = Surroundings(umask=0o027, nice=3, cpus=frozenset({last}))
    told = await told_by(helpers, "umask; nice; taskset -p $$", around)
    assert told[:2] == ["0027", str(os.nice(0) + 3)]
    assert int(told[-1], 16) == 1 << last
    # And nothing of it is left for the next one.
    mask = os.umask(0)
    os.umask(mask)
    assert (await told_by(helpers, "umask; nice", Surroundings()))[1] == str(os.nice(0))
    assert int((await told_by(helpers, "umask", Surroundings()))[0], 8) == mask


async def test_limits(helpers: Helpers) -> None:
    around = Surroundings(limits={resource.RLIMIT_NOFILE: (50, 60), resource.RLIMIT_CORE: (0, 0)})
    line = "ulimit -Sn; ulimit -Hn; ulimit -c"
    assert await told_by(helpers, line, around) == ["50", "60", "0"]


@root
async def test_another_user(helpers: Helpers, tmp_path: Path) -> None:
    told = await told_by(helpers, "id -un; id -gn; id -Gn", Surroundings(user="nobody"))
    assert told == ["nobody", "nogroup", "nogroup"]
    assert await told_by(helpers, "id -un", Surroundings(user="65534")) == ["nobody"]


@pytest.mark.parametrize(
    ("around", "why"),
    [
        (Surroundings(user="nobody-at-all"), "true: user nobody-at-all: "),
        (Surroundings(cwd=Path("/no/such")), "true: No such file or directory"),
        (Surroundings(cpus=frozenset({4000})), "true: CPU affinity: Invalid argument"),
        (
            Surroundings(limits={resource.RLIMIT_NOFILE: (60, 50)}),
            "true: resource limits: current limit exceeds maximum limit",
        ),
        (Surroundings(cgroup=Path("/no/such")), "true: cgroup /no/such: No such file or directory"),
    ],
)
async def test_what_cannot_be_had_is_one_line(
    helpers: Helpers, around: Surroundings, why: str
) -> None:
    with pytest.raises(NotStartedError) as caught:
        await Told(Command(("true",), surroundings=around)).run(helpers)
    assert str(caught.value).startswith(why)
    assert (await ran(helpers, Command(("pwd",)))).output().decode().strip() == str(Path.cwd())
