"""Settings as TOML: a file that `config` reads back to the same values."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from netkit.cli.config import anchored
from netkit.cli.settings import Setting
from netkit.errors import UsageError


def dump(settings: Sequence[Setting], values: Mapping[str, Any], folder: Path) -> str:
    """The settings with these values, under their headings and with their help.

    Paths become absolute, seen from `folder`, so that the file may stand anywhere. What is
    None and what is secret is there as a comment. Raises `UsageError` for text that no TOML
    file can hold.
    """
    lines: list[str] = []
    for panel, group in groupby(settings, key=lambda each: each.panel):
        if panel:
            lines += ["", _comment(f"==== {panel} ====")]
        for setting in group:
            lines += ["", *_entry(setting, values.get(setting.name), folder)]
    return "\n".join(lines).lstrip("\n") + "\n"


def _entry(setting: Setting, value: Any, folder: Path) -> list[str]:
    lines = [_comment(setting.help)] if setting.help else []
    if setting.secret:
        return [*lines, f"# {setting.key} = …  (secret: not shown; give it as {setting.variable})"]
    if value is None or value is dataclasses.MISSING:
        return [*lines, f"# {setting.key} = …"]
    try:
        if setting.many:
            texts = [_toml(anchored(setting, each, folder)) for each in value]
            return [*lines, f"{setting.key} = [{', '.join(texts)}]"]
        return [*lines, f"{setting.key} = {_toml(anchored(setting, value, folder))}"]
    except UnicodeEncodeError:
        raise UsageError(
            f"{setting.flag}: not Unicode, so TOML cannot hold it; give another name"
        ) from None


def _toml(value: str | Path | float | bool) -> str:
    """One value as TOML 1.0 writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)  # inf and nan too, and 1e+16
    text = str(value)
    text.encode()
    # JSON's escapes are TOML's, if pairs of surrogates are left out and DEL is added.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _comment(text: str) -> str:
    """One line, without the control characters that TOML forbids in comments."""
    line = " ".join(text.split())
    return "# " + "".join(each if each.isprintable() else "�" for each in line)
