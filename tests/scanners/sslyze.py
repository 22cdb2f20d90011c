"""SSLyze: its plugins' results, and what Mozilla's "intermediate" profile has against a server.

It wants an older `cryptography` than netkit's tests have, so that it lives in an environment of
its own: ``make scanners``, or any `sslyze` in the PATH.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path
from typing import Any

from tests.peers import peer
from tests.scanners.finding import Finding

_REPORTED = re.compile(r"^ +\* (\w+): (.+)$", re.MULTILINE)
_GOOD: dict[str, dict[str, Any]] = {
    "tls_compression": {"supports_compression": False},
    "tls_1_3_early_data": {"supports_early_data": False},
    "openssl_ccs_injection": {"is_vulnerable_to_ccs_injection": False},
    "tls_fallback_scsv": {"supports_fallback_scsv": True},
    "heartbleed": {"is_vulnerable_to_heartbleed": False},
    "session_renegotiation": {
        "supports_secure_renegotiation": True,
        "is_vulnerable_to_client_renegotiation_dos": False,
    },
    "tls_extended_master_secret": {"supports_ems_extension": True},
}
"""By plugin: what its result has to say."""


def program() -> str:
    """Where it is: in its own environment inside the tests', or in the PATH."""
    own = Path(sys.prefix, "scanners", "bin", "sslyze")
    return str(own) if own.exists() else peer("sslyze")


async def scan(port: int, ca: Path, report: Path, *, starttls: str | None = None) -> list[Finding]:
    """Scan localhost:`port`, where TLS may begin by a protocol's STARTTLS.

    The JSON goes to `report`.
    """
    process = await asyncio.create_subprocess_exec(
        *(program(), "--mozilla_config", "intermediate", "--early_data"),
        *("--certinfo_ca_file", str(ca), "--json_out", str(report)),
        *(("--starttls", starttls) if starttls else ()),
        f"localhost:{port}",
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )
    said, complaints = await process.communicate()
    assert report.exists(), complaints.decode(errors="replace")
    text = said.decode()
    assert "Checking results against Mozilla" in text, text
    profile = text.partition("Checking results against Mozilla")[2]
    return [Finding("sslyze", *each) for each in _of_plugins(json.loads(report.read_text()))] + [
        Finding("sslyze", name, "not compliant", why) for name, why in _REPORTED.findall(profile)
    ]


def _of_plugins(report: dict[str, Any]) -> list[tuple[str, str, str]]:
    (server,) = report["server_scan_results"]
    assert server["scan_status"] == "COMPLETED", server["scan_status"]
    found = []
    for plugin, good in _GOOD.items():
        attempt = server["scan_result"][plugin]
        assert attempt["status"] == "COMPLETED", (plugin, attempt["error_reason"])
        found += [
            (plugin, "vulnerable", f"{name} is {attempt['result'][name]}")
            for name, value in good.items()
            if attempt["result"][name] != value
        ]
    verdict = server["scan_result"]["robot"]["result"]["robot_result"]
    if not verdict.startswith("NOT_VULNERABLE"):
        found.append(("robot", "vulnerable", verdict))
    return found
