"""``netkit ctl``: ask and steer a server that runs, over its admin socket."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from netkit.addresses import Address, parse
from netkit.errors import NetworkError, UsageError

WAIT = 60.0
"""Seconds for an answer: scaling waits until the new workers serve."""

app = typer.Typer(
    help="Ask and steer a server that runs with --admin unix:PATH.", no_args_is_help=True
)

Where = Annotated[
    str, typer.Argument(metavar="ADMIN", help="Its --admin address: unix:PATH or HOST:PORT.")
]
AsJSON = Annotated[bool, typer.Option("--json", help="For scripts.")]


@app.command("list")
def list_connections(admin: Where, as_json: AsJSON = False) -> None:
    """List the open connections."""
    found = json.loads(ask(admin, "GET", "/connections"))
    if as_json:
        print(json.dumps(found, indent=1))
        return
    heads = ("WORKER", "ID", "PEER", "AGE", "IN", "OUT", "TLS")
    print(table([heads, *map(row, found)]))


@app.command()
def tasks(admin: Where, as_json: AsJSON = False) -> None:
    """Show every asyncio task and where it waits."""
    found = json.loads(ask(admin, "GET", "/tasks"))
    if as_json:
        print(json.dumps(found, indent=1))
        return
    for each in found:
        print(f"worker {each['worker']} {each['task']}")
        for depth, place in enumerate(each["stack"], 1):
            print(f"{'  ' * depth}{place}")


@app.command()
def kick(
    admin: Where,
    worker: Annotated[int, typer.Argument(help="Its worker; 0 where there is one process.")],
    number: Annotated[int, typer.Argument(metavar="ID", help="Its number in the list.")],
) -> None:
    """Cut a connection."""
    print(ask(admin, "POST", f"/kick?worker={worker}&id={number}").strip())


@app.command()
def reload(admin: Where) -> None:
    """Reload, as HUP does; the server's log says how it went."""
    print(ask(admin, "POST", "/reload").strip())


@app.command()
def drain(admin: Where) -> None:
    """End the server in order, as TERM does."""
    print(ask(admin, "POST", "/drain").strip())


@app.command()
def scale(admin: Where, workers: Annotated[int, typer.Argument(help="How many.")]) -> None:
    """Have so many workers."""
    print(ask(admin, "POST", f"/scale?workers={workers}").strip())


def ask(admin: str, method: str, path: str) -> str:
    """The answer's body. Raises `NetworkError` if there is none, `UsageError` if it refuses."""
    address = parse(admin, flag="ADMIN")
    if address.scheme not in ("tcp", "unix"):
        raise UsageError(f"{admin}: an admin address is unix:PATH or HOST:PORT")
    connection = Connection(address)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        body = answer.read().decode()
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise NetworkError(f"{address}: {why}; is a server there, with this --admin?") from None
    finally:
        connection.close()
    if answer.status == 404 and method == "POST" and "no connection" not in body:
        raise UsageError(f"{address}: it changes nothing over TCP; give the server's unix: address")
    if answer.status >= 400:
        raise UsageError(f"{address}: {body.strip()}")
    return body


class Connection(http.client.HTTPConnection):
    """HTTP over TCP or a Unix socket."""

    def __init__(self, address: Address) -> None:
        super().__init__(address.host or "localhost", address.port or None, timeout=WAIT)
        self._address = address

    def connect(self) -> None:
        """See `http.client.HTTPConnection`."""
        if self._address.scheme == "tcp":
            super().connect()
            return
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(WAIT)
        self.sock.connect(self._address.socket_path)


def row(each: dict[str, Any]) -> Sequence[str]:
    """One connection of the list, as text."""
    known = [each["received"], each["sent"], each["tls"]]
    return [
        str(each["worker"]),
        str(each["id"]),
        each["peer"],
        f"{each['age']:.1f} s",
        *("-" if value is None else str(value) for value in known),
    ]


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns that line up."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(each, widths, strict=True)).rstrip()
        for each in rows
    )
