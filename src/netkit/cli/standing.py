"""What a reload cannot change, since it is the supervisor's and that one goes on.

It leaves its own values in the environment of its workers, who warn of others.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from typing import Any

log = logging.getLogger("netkit.workers")

VARIABLE = "NETKIT_STANDING"


def remember(values: dict[str, Any]) -> None:
    """Leave these settings, by key, for the workers that this process starts."""
    os.environ[VARIABLE] = json.dumps(_written(values))


def warn(values: dict[str, Any]) -> None:
    """Log which of a worker's settings are not its supervisor's."""
    before = json.loads(os.environ.get(VARIABLE, "{}"))
    now = _written(values)
    changed = [key for key, text in before.items() if now.get(key, text) != text]
    if changed:
        log.warning("%s: changed, but not by a reload; restart the server", ", ".join(changed))


def by_key(part: Any, prefix: str = "") -> dict[str, Any]:
    """A dataclass's values by their keys in a file."""
    fields = dataclasses.fields(part)
    return {(prefix + each.name).replace("_", "-"): getattr(part, each.name) for each in fields}


def _written(values: dict[str, Any]) -> dict[str, str]:
    return {key: repr(value) for key, value in values.items()}
