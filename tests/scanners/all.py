"""Every scanner against every target, as a table: ``python -m tests.scanners.all [NAME]``.

`NAME`: only targets whose names begin so, such as ``netkit``.

Ends with 1 if a server of netkit's has a weakness. Takes some minutes.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

from netkit.certificates.develop import development
from tests.runtime.process import LOOPS
from tests.scanners import sslyze, targets, testssl
from tests.scanners.finding import Finding, weaknesses

Target = Callable[[], AbstractAsyncContextManager[int]]


def named(folder: Path) -> dict[str, Target]:
    """The targets, by the names that they have in the table."""
    found: dict[str, Target] = {
        f"netkit serve {server}, {loop}": partial(targets.netkit, server, loop)
        for server in targets.SERVERS
        for loop in LOOPS
    }
    return found | {
        "plain asyncio context": targets.plain_context,
        "nginx, Debian's defaults": partial(targets.nginx, folder),
    }


async def scanned(place: int, target: Target, ca: Path, folder: Path) -> list[Finding]:
    """Scan one target by both."""
    async with target() as port:
        found = await testssl.scan(port, ca, folder / f"testssl{place}.json")
        return found + await sslyze.scan(port, ca, folder / f"sslyze{place}.json")


async def everything(folder: Path, beginning: str) -> dict[str, list[Finding]]:
    """Scan those whose names begin so, as many at a time as there are cores."""
    ca, room = development().ca, asyncio.Semaphore(len(os.sched_getaffinity(0)))

    async def one(place: int, target: Target) -> list[Finding]:
        async with room:
            return await scanned(place, target, ca, folder)

    wanted = {name: each for name, each in named(folder).items() if name.startswith(beginning)}
    tasks = [one(place, target) for place, target in enumerate(wanted.values())]
    return dict(zip(wanted, await asyncio.gather(*tasks), strict=True))


def rows(found: dict[str, list[Finding]]) -> list[str]:
    """The table, in Markdown: what each scanner found, by severity, and what is behind it."""
    lines = ["| server | testssl.sh | SSLyze |", "| --- | --- | --- |"]
    for name, findings in found.items():
        cells = []
        for scanner in ("testssl", "sslyze"):
            counts = Counter(each.severity for each in findings if each.scanner == scanner)
            cells.append(", ".join(f"{count} {word}" for word, count in counts.items()) or "none")
        lines.append(f"| {name} | {cells[0]} | {cells[1]} |")
    return lines


def main(beginning: str = "") -> int:
    """Scan, print, and judge netkit's own."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NETKIT_CERTS"] = f"{folder}/certs"
        found = asyncio.run(everything(Path(folder), beginning))
    lines = rows(found)
    for name, findings in found.items():
        lines += ["", f"{name}:", *(f"  {each}" for each in findings)]
    sys.stdout.write("\n".join([*lines, ""]))
    bad = [each for name in found if name.startswith("netkit") for each in weaknesses(found[name])]
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
