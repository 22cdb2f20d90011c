"""What a process that is forked for a command has imported already."""

from __future__ import annotations

# Each is imported to be there (F401), the first three since typer imports them only when it
# first looks at a parameter.
import importlib.metadata  # noqa: F401

import pydantic.plugin._loader  # noqa: F401
import typer._adapters  # noqa: F401
import uvloop  # noqa: F401

import netkit.certificates.develop
import netkit.cli.exec
import netkit.cli.run
import netkit.cli.serve
import netkit.cli.start
import netkit.servers.chat
import netkit.servers.echo  # noqa: F401
