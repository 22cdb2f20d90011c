"""``netkit keys``: what a feed is sealed with, and what its listeners open it with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netkit.feeds import keys

app = typer.Typer(help="Keys for sealed feeds: make one, or show what a file holds.")

_EPILOG_NEW = """Examples:\n
netkit keys new feed.key\n
netkit keys new --hmac feed.secret
"""
_EPILOG_SHOW = """Example:\n
netkit keys show feed.key.pub
"""
File = Annotated[Path, typer.Argument(metavar="FILE", show_default=False)]


@app.callback()
def keys_of_feeds() -> None:
    """Keys for sealed feeds: make one, or show what a file holds."""


@app.command(epilog=_EPILOG_NEW)
def new(
    file: File,
    hmac: Annotated[
        bool,
        typer.Option(
            "--hmac", help="A secret for HMAC-SHA-256: faster, but each listener could send too."
        ),
    ] = False,
) -> None:
    """Make an Ed25519 key, FILE for the sender and FILE.pub for listeners.

    No file is ever overwritten.
    """
    made = keys.new(file, hmac=hmac)
    typer.echo(f"  sender       {made[0]}  (keep it secret)")
    typer.echo(f"  listeners    {made[-1]}{'  (keep it secret)' if hmac else ''}")
    typer.echo(f"  fingerprint  {keys.describe(file).fingerprint}")


@app.command(epilog=_EPILOG_SHOW)
def show(file: File) -> None:
    """Say what kind of key FILE holds, and its fingerprint."""
    found = keys.describe(file)
    typer.echo(f"  kind         {found.kind}")
    typer.echo(f"  fingerprint  {found.fingerprint}")
