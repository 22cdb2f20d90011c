"""What a process that is forked for a command has imported already."""

from __future__ import annotations

import pydantic  # noqa: F401  # typer imports it when it first looks at a parameter
import typer._adapters  # noqa: F401  # the same
import uvloop  # noqa: F401

import netkit.cli.exec
import netkit.cli.run
import netkit.cli.serve  # noqa: F401
