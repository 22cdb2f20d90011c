"""Hosts: each a real sshd."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.run.hosts.sshd import Home, Sshd


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Nobody's own ~/.ssh and agent are seen, here and in processes that are started."""
    made = Home(tmp_path / "home")
    monkeypatch.setenv("HOME", str(made.path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return made


@pytest.fixture
def host(tmp_path: Path, home: Home) -> Iterator[Callable[..., Sshd]]:
    """Starts a host."""
    running: list[Sshd] = []

    def start(**options: Any) -> Sshd:
        running.append(Sshd(tmp_path / f"sshd{len(running)}", home, **options))
        return running[-1]

    yield start
    for each in running:
        each.stop()
