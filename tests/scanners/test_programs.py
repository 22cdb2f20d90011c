"""Programs that verify what a server shows accept the development certificate, and no other CA's.

``netkit serve tls`` answers each with a page that says what was agreed on.
"""

from __future__ import annotations

import asyncio
import os
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Mapping
from pathlib import Path

import pytest

from netkit.certificates.develop import development
from tests.peers import peer
from tests.runtime.process import COMMAND, LOOPS
from tests.scanners import targets

pytestmark = [
    pytest.mark.asyncio(loop_factories=["asyncio"]),
    pytest.mark.parametrize("loop", LOOPS),
]

AGREED = "TLS 1.3, TLS_AES_"
"""How the page begins."""

NODE = """
const [url, ca] = process.argv.slice(1);
require('https').get(url, {ca: require('fs').readFileSync(ca)}, (answer) => {
  answer.on('data', (data) => process.stdout.write(data));
}).on('error', (error) => { console.log(error.code); process.exitCode = 1; });
"""


async def run(
    *command: str | Path, given: bytes = b"", env: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Run a program to its end; its status, and all that it wrote."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=PIPE, stderr=STDOUT, env=env and os.environ | env
    )
    said, _ = await process.communicate(given)
    assert process.returncode is not None
    return process.returncode, said.decode("utf-8", "replace")


@pytest.fixture
def cas(tmp_path: Path) -> tuple[Path, Path]:
    """The CA that signed the server's certificate, and one that did not."""
    return development().ca, development(tmp_path / "other").ca


async def test_curl(loop: str, cas: tuple[Path, Path]) -> None:
    right, wrong = cas
    async with targets.netkit("tls", loop) as port:
        words = (peer("curl"), "-sS", f"https://localhost:{port}/", "--cacert")
        status, said = await run(*words, right)
        assert (status, AGREED in said) == (0, True), said
        assert (await run(*words, wrong))[0] == 60  # CURLE_PEER_FAILED_VERIFICATION


async def test_openssl(loop: str, cas: tuple[Path, Path]) -> None:
    right, wrong = cas
    async with targets.netkit("tls", loop) as port:
        words = [peer("openssl"), "s_client", "-connect", f"localhost:{port}", "-quiet"]
        words += ["-verify_return_error", "-verify_hostname", "localhost", "-CAfile"]
        status, said = await run(*words, right, given=b"GET / HTTP/1.0\r\n\r\n")
        assert (status, AGREED in said) == (0, True), said
        status, said = await run(*words, wrong, given=b"GET / HTTP/1.0\r\n\r\n")
        assert (status, AGREED in said) == (1, False), said


async def test_node(loop: str, cas: tuple[Path, Path]) -> None:
    right, wrong = cas
    async with targets.netkit("tls", loop) as port:
        words = (peer("node"), "-e", NODE, f"https://localhost:{port}/")
        status, said = await run(*words, right)
        assert (status, AGREED in said) == (0, True), said
        status, said = await run(*words, wrong)
        assert (status, said) == (1, "UNABLE_TO_VERIFY_LEAF_SIGNATURE\n")


async def test_chromium(loop: str, tmp_path: Path) -> None:
    """With the CA put into its store by `netkit certs trust`, and before that not."""
    peer("certutil")
    home = tmp_path / "home"
    home.mkdir()
    variables = {"HOME": str(home)}
    async with targets.netkit("tls", loop) as port:

        async def page(profile: str) -> str:
            _, said = await run(
                *(peer("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"),
                *("--disable-background-networking", "--no-first-run", "--disable-sync"),
                *("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost",),
                *(f"--user-data-dir={home / profile}", f"https://localhost:{port}/"),
                env=variables,
            )
            return said

        refused = await page("before")
        assert AGREED not in refused
        assert "ERR_CERT_AUTHORITY_INVALID" in refused
        status, said = await run(*COMMAND, "certs", "trust", "--browser", env=variables)
        assert (status, "trusts the CA" in said) == (0, True), said
        accepted = await page("after")
        assert "ERR_CERT" not in accepted
        assert AGREED in accepted
