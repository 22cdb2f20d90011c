"""What a server might say, written short."""

from __future__ import annotations

from typing import Any

from netkit.cli.top.rates import Sample


def connection(number: int, age: float, *carried: int | None, **more: Any) -> dict[str, Any]:
    """A connection of worker 1 that has received, and sent, so many bytes."""
    received, sent = carried or (0, 0)
    peer = f"127.0.0.1:{40000 + number}"
    described = {"worker": 1, "pid": 100, "id": number, "peer": peer, "age": age}
    return {**described, "received": received, "sent": sent, **more}


def worker(number: int, age: float, **more: Any) -> dict[str, Any]:
    """A worker whose pid is its number times 100; counters and gauges by name."""
    counters = {name: more.pop(name) for name in ("accepted", "received", "sent") if name in more}
    described = {"worker": number, "pid": number * 100, "age": age, "answers": True}
    told = {"leaving": False, "counters": counters, "gauges": {"open": 0}}
    return {**described, **told, **more}


def sample(uptime: float, *parts: dict[str, Any], **more: Any) -> Sample:
    """What a server with these workers and connections said at `uptime`."""
    server = {"version": "1.0", "pid": 1, "uptime": uptime, "restarts": 0, "settled": {}, **more}
    workers = [part for part in parts if "counters" in part]
    connections = [part for part in parts if "counters" not in part]
    return Sample({**server, "workers": workers}, connections)
