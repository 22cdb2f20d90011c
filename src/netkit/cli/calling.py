"""Flags of whoever calls a server by TLS: `connect` and `exec` have the same."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

UseTLS: TypeAlias = Annotated[bool, typer.Option("--tls", help="Speak TLS.")]
CaCerts: TypeAlias = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Trust these CAs instead of the system's and netkit's."),
]
Cert: TypeAlias = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Client certificate, for mutual TLS.")
]
Key: TypeAlias = Annotated[Path | None, typer.Option(metavar="FILE", help="Its key.")]
Insecure: TypeAlias = Annotated[
    bool, typer.Option("--insecure", help="Do not check the server's certificate.")
]
ServerName: TypeAlias = Annotated[
    str, typer.Option(metavar="NAME", help="Name in the certificate, if not HOST.")
]
