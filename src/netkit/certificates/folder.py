"""Where netkit keeps its development CA and certificates."""

from __future__ import annotations

import os
from pathlib import Path


def folder() -> Path:
    """Return the folder for certificates; it need not exist yet.

    ``$NETKIT_CERTS`` if set; ``./certs`` in a checkout of netkit; otherwise
    ``$XDG_DATA_HOME/netkit``, by default ``~/.local/share/netkit``.
    """
    chosen = os.environ.get("NETKIT_CERTS")
    if chosen:
        return Path(chosen).expanduser().absolute()
    here = Path.cwd()
    if (here / "src/netkit/__init__.py").is_file() and (here / "certs/README.md").is_file():
        return here / "certs"
    data = os.environ.get("XDG_DATA_HOME", "")
    # The XDG base directory specification: a relative path is to be ignored.
    base = Path(data) if data.startswith("/") else Path.home() / ".local/share"
    return base / "netkit"


def ca_path(folder: Path) -> Path:
    """Return where the development CA's certificate is or will be."""
    return folder / "ca.pem"
