"""Versions of TLS and kinds of protocol that the transport is tried with."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.tls.peer import CONNECT, Buffered, Heard


@pytest.fixture(params=CONNECT)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[None, 100, 65_536], ids=lambda size: f"buffer-{size}")
def protocol(request: pytest.FixtureRequest) -> Callable[..., Heard]:
    """A protocol, or a buffered one whose buffer is so large."""
    if request.param is None:
        return Heard
    return lambda **how: Buffered(request.param, **how)
