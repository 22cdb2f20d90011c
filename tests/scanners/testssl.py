"""testssl.sh, Debian's package: a scan, and what it found above "info"."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import Sequence
from pathlib import Path

from tests.peers import peer
from tests.scanners.finding import Finding

SECTIONS = ("-p", "-s", "-f", "-P", "-S", "-h", "-U")
"""Protocols, suites, forward secrecy, preferences, certificate, HTTP headers, vulnerabilities.

All that testssl.sh judges. Left out are two lists that it only prints: each suite by itself,
and what 36 clients would negotiate. They take half of the time.
"""

PROOFS = {
    "SSLv3", "TLS1_2", "TLS1_3", "cipherlist_NULL", "cipher_order", "cert_chain_of_trust",
    "heartbleed", "CCS", "ROBOT", "secure_client_renego", "SWEET32", "LUCKY13", "RC4",
}  # fmt: skip
"""Ids of which each whole scan has a line: one that broke off midway has found nothing either."""

_HARMLESS = {"OK", "INFO"}
_ITS_OWN = {
    # Of a server that does not answer a GET; the headers are left out then.
    ("DEBUG", "service"),
    # It calls s_client with no input, which may end before a ticket of TLS 1.3 has come, and
    # then asks it to resume from an empty file. With any server, every other time.
    ("WARN", "sessionresumption_ticket"),
}
"""What it says of its own work, not of the server: severity and id."""


async def scan(
    port: int, ca: Path, report: Path, sections: Sequence[str] = SECTIONS
) -> list[Finding]:
    """Scan localhost:`port`; the JSON goes to `report`, which must not exist yet."""
    words = (
        *("--quiet", "--warnings", "batch", "--color", "0", "--ip", "127.0.0.1"),
        *("--nodns", "none", "--add-ca", str(ca), "--jsonfile", str(report)),
        *sections,
        f"localhost:{port}",
    )
    process = await asyncio.create_subprocess_exec(
        peer("testssl"), *words, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, cwd=report.parent
    )
    said, _ = await process.communicate()
    assert report.exists(), said.decode(errors="replace")
    return read(report, whole=sections == SECTIONS)


def read(report: Path, *, whole: bool) -> list[Finding]:
    """What a report finds, beyond what is good or to be known."""
    lines = json.loads(report.read_text())
    if whole:
        missing = PROOFS - {line["id"] for line in lines}
        assert not missing, f"testssl.sh broke off: nothing said of {sorted(missing)}"
    return [
        Finding("testssl", line["id"].split(" ")[0], line["severity"], line["finding"])
        for line in lines
        if line["severity"] not in _HARMLESS and (line["severity"], line["id"]) not in _ITS_OWN
    ]
