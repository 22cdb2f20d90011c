"""Two people in one room who came with programs that we did not write."""

from __future__ import annotations

from pathlib import Path

import pytest

from netkit.servers.chat import Chat
from tests.chat.house import Person, both_sides, listening, program

# Without a terminal telnet must be told to have no escape character (-E).
PLAIN = {
    "ncat": "ncat 127.0.0.1 {port}",
    "socat": "socat - TCP:127.0.0.1:{port}",
    "telnet": "telnet -E 127.0.0.1 {port}",
}
TLS = {
    "openssl": "openssl s_client -quiet -verify_return_error -CAfile {ca} localhost:{port}",
    "ncat": "ncat --ssl --ssl-verify --ssl-trustfile {ca} localhost {port}",
    "socat": "socat - OPENSSL:localhost:{port},cafile={ca}",
}


async def talk(ann: Person, bob: Person) -> None:
    await ann.type("ann")
    await ann.sees("* in #lobby: ann")
    await bob.type("bob")
    await bob.sees("* in #lobby: ann bob")
    await ann.sees("* bob joined #lobby")
    await ann.type("grüß dich, 李")
    assert await bob.sees("<ann>") == "#lobby <ann> grüß dich, 李"
    await bob.type("/me waves")
    assert await ann.sees("waves") == "#lobby * bob waves"
    await bob.type("/quit")
    await bob.sees("* Goodbye.")
    assert await ann.sees("bob left") == "* bob left (quit)"
    await ann.type("/quit")
    await ann.sees("* Goodbye.")


@pytest.mark.parametrize("kind", PLAIN)
async def test_plain(kind: str) -> None:
    async with listening(Chat()) as port:
        command = PLAIN[kind].format(port=port).split()
        async with program(*command) as ann, program("ncat", "127.0.0.1", str(port)) as bob:
            await talk(ann, bob)


@pytest.mark.parametrize("kind", TLS)
async def test_tls(kind: str, tmp_path: Path) -> None:
    server, _, ca = both_sides(tmp_path)
    async with listening(Chat(), server) as port:
        ann_command = TLS[kind].format(port=port, ca=ca).split()
        bob_command = TLS["openssl"].format(port=port, ca=ca).split()
        async with program(*ann_command) as ann, program(*bob_command) as bob:
            await talk(ann, bob)
