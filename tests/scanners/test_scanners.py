"""Scanners find no weakness in netkit's defaults, and find those of a plain context."""

from __future__ import annotations

from pathlib import Path

import pytest

from netkit.certificates.develop import development
from tests.runtime.process import LOOPS
from tests.scanners import sslyze, targets, testssl
from tests.scanners.finding import weaknesses

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio"])


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("server", targets.SERVERS)
async def test_sslyze_finds_no_weakness(server: str, loop: str, tmp_path: Path) -> None:
    async with targets.netkit(server, loop) as port:
        found = await sslyze.scan(port, development().ca, tmp_path / "report.json")
    assert weaknesses(found) == []


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("name", ["smtp", "imap", "pop3"])
async def test_sslyze_finds_no_weakness_behind_starttls(
    name: str, loop: str, tmp_path: Path
) -> None:
    async with targets.netkit("echo", loop, "--starttls", name) as port:
        report = tmp_path / "report.json"
        found = await sslyze.scan(port, development().ca, report, starttls=name)
    assert weaknesses(found) == []


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("server", targets.SERVERS)
async def test_testssl_finds_no_weakness(server: str, loop: str, tmp_path: Path) -> None:
    async with targets.netkit(server, loop) as port:
        found = await testssl.scan(port, development().ca, tmp_path / "report.json")
    assert weaknesses(found) == []


async def test_sslyze_finds_what_a_plain_context_has(tmp_path: Path) -> None:
    async with targets.plain_context() as port:
        found = await sslyze.scan(port, development().ca, tmp_path / "report.json")
    seen = {each.id for each in weaknesses(found)}
    # A test before it in this process may have had netkit's groups loaded, for all contexts.
    assert {"ciphers"} <= seen <= {"ciphers", "tls_curves"}


@pytest.mark.timeout(600)
async def test_testssl_finds_what_a_plain_context_has(tmp_path: Path) -> None:
    async with targets.plain_context() as port:
        report = tmp_path / "report.json"
        found = await testssl.scan(port, development().ca, report, sections=("-L",))
    assert [each.id for each in weaknesses(found)] == ["LUCKY13"]
