"""What one may not ask of ``netkit connect``: each is one line, before it connects."""

from __future__ import annotations

import pytest

from tests.commands import netkit


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "say where to connect"),
        (["a", "1", "2"], "say where to connect"),
        (["localhost"], "the port is missing"),
        (["localhost:0"], "port 0 is no server's"),
        (["--tls", "-u", "localhost:1"], "--tls --udp"),
        (["-u", "tcp://localhost:1"], "contradicts --udp"),
        (["-U", "sock", "localhost:1"], "--unix PATH stands alone"),
        (["localhost:1", "--insecure"], "--insecure needs TLS"),
        (["-u", "localhost:1", "--retry"], "--retry has no meaning for UDP"),
        (["localhost:1", "-w", "0"], "--wait 0"),
        (["localhost:1", "--source", "a b"], "--source 'a b:0'"),
    ],
)
def test_usage_errors_are_one_line_and_status_2(arguments: list[str], line: str) -> None:
    ended = netkit("connect", *arguments)
    assert (ended.status, ended.output) == (2, "")
    assert ended.errors.startswith("netkit: error: ")
    assert len(ended.errors.splitlines()) == 1
    assert line in ended.errors
