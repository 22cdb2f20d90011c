"""``netkit ctl``: ask and steer a server that runs, over its admin socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any

import typer

from netkit.cli import admin_client
from netkit.cli.admin_client import admin_address
from netkit.cli.printable import printable
from netkit.cli.top.columns import CONNECTIONS, WORKERS, Column, entry
from netkit.cli.top.plain import lined_up
from netkit.cli.top.rates import Row
from netkit.errors import NetworkError

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
    found = ask_json(admin, "/connections")
    show(found, without_rates(CONNECTIONS), found, as_json)


@app.command()
def workers(admin: Where, as_json: AsJSON = False) -> None:
    """List the workers: what each does and holds."""
    found = ask_json(admin, "/workers")
    show(found, without_rates(WORKERS), found["workers"], as_json)


@app.command()
def tasks(admin: Where, as_json: AsJSON = False) -> None:
    """List every asyncio task: its coroutine, and where it waits."""
    found = ask_json(admin, "/tasks")
    show(found, TASKS, found, as_json)
    complain_of_silent(admin, found)


@app.command()
def stacks(admin: Where, as_json: AsJSON = False) -> None:
    """Show the whole stack of every asyncio task, outermost first."""
    found = ask_json(admin, "/tasks")
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        for each in found:
            print(f"worker {each['worker']} {printable(each['task'])}")
            for depth, place in enumerate(each["stack"], 1):
                print(f"{'  ' * depth}{place}")
    complain_of_silent(admin, found)


@app.command()
def kick(
    admin: Where,
    worker: Annotated[int, typer.Argument(help="Its worker; 0 where there is one process.")],
    number: Annotated[int, typer.Argument(metavar="ID", help="Its number in the list.")],
    pid: Annotated[
        int | None, typer.Option(help="Which process, while an old worker of the number drains.")
    ] = None,
) -> None:
    """Cut a connection."""
    which = f"worker={worker}&id={number}" + (f"&pid={pid}" if pid is not None else "")
    print(ask(admin, "POST", f"/kick?{which}").strip())


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
    return asyncio.run(admin_client.ask(admin_address(admin), method, path))


def ask_json(admin: str, path: str) -> Any:
    """What GET gives. Raises as `ask` does."""
    return asyncio.run(admin_client.ask_json(admin_address(admin), path))


def show(
    found: Any, columns: Sequence[Column], entries: Iterable[dict[str, Any]], as_json: bool
) -> None:
    """Print what was found as it came, or its entries as a table."""
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        print("\n".join(lined_up(columns, map(Row, entries))))


def complain_of_silent(admin: str, found: list[dict[str, Any]]) -> None:
    """Raise `NetworkError` if a worker is not in the answer, since it gave none."""
    answered = {each.get("pid") for each in found}
    silent = [
        f"worker {each['worker']} (pid {each['pid']})"
        for each in ask_json(admin, "/workers")["workers"]
        if each["worker"] and each["pid"] not in answered
    ]
    if silent:
        raise NetworkError(
            f"no answer from {', '.join(silent)}: it is stopped, or waits in the kernel"
        )


def without_rates(columns: Sequence[Column]) -> list[Column]:
    """Those that one answer fills."""
    return [column for column in columns if not column.head.endswith("/s")]


def _at(index: int) -> Callable[[Row], str | None]:
    """A place of a task's stack; None where it has none: it waits in no coroutine."""
    return lambda row: row.entry["stack"][index] if row.entry["stack"] else None


TASKS = (
    Column("WORKER", entry("worker"), str, 6),
    Column("TASK", entry("task"), printable, 30, is_text=True),
    Column("COROUTINE", _at(0), str, 40, is_text=True),
    Column("WAITS IN", _at(-1), str, 40, is_text=True),
)
