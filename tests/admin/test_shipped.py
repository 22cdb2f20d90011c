"""The alert rules and the dashboard ask for metrics that a server serves."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.admin.test_http import administered, curl, output
from tests.house import ROOT
from tests.peers import peer

RULES = ROOT / "deploy" / "prometheus" / "netkit.rules.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "netkit.json"
NAME = re.compile(r"\bnetkit_[a-z_]+")


def expressions(dashboard: dict[str, Any]) -> Iterator[str]:
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    yield from (each["query"]["query"] for each in dashboard["templating"]["list"][1:])


async def served() -> set[str]:
    async with administered("tcp://127.0.0.1:0") as (_, admin, _):
        _, text = await curl(admin, "/metrics")
    typed = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    return {name for name in typed if typed[name] != "histogram"} | {
        f"{name}_{part}"
        for name in typed
        if typed[name] == "histogram"
        for part in ("bucket", "count", "sum")
    }


async def test_promtool_accepts_the_rules() -> None:
    said = await output(peer("promtool"), "check", "rules", str(RULES))
    assert "SUCCESS: 6 rules found" in said


async def test_every_metric_asked_for_is_served() -> None:
    known = await served()
    asked = set(NAME.findall(RULES.read_text()))
    dashboard = json.loads(DASHBOARD.read_text())
    asked |= {name for text in expressions(dashboard) for name in NAME.findall(text)}
    assert len(asked) >= 10
    assert asked <= known
