"""Events as JSON."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

from netkit.clients.run.output.form import Form
from netkit.clients.run.output.json import line
from netkit.clients.run.output.work import Work
from netkit.subprocesses.command import Command
from netkit.subprocesses.events import End, Ended, Started, Usage
from netkit.subprocesses.retries import Retries
from tests.run.showing import shown

JSON = Form("json")


async def events(*lines: str, form: Form = JSON, **options: Any) -> list[dict[str, Any]]:
    stdout, stderr = await shown(form, *lines, **options)
    assert stderr == b""
    return [json.loads(line) for line in stdout.splitlines()]


async def test_a_jobs_life_is_told() -> None:
    started, output, ended = await events("echo ä; exit 3")
    assert started["event"] == "started"
    assert started["job"] == output["job"] == ended["job"] == 1
    assert started["command"] == ["/bin/sh", "-c", "echo ä; exit 3"]
    assert started["arguments"] == [["1", "echo ä; exit 3"]]
    assert started["pid"] > 1
    assert started["time"] <= output["time"] <= ended["time"]
    assert (output["event"], output["stream"], output["text"]) == ("output", "stdout", "ä\n")
    assert (ended["event"], ended["status"], ended["signal"]) == ("ended", 3, None)
    assert ended["reason"] == "exit"
    assert ended["user"] >= 0 <= ended["system"]
    assert ended["max_rss"] > 100_000
    assert "host" not in ended


async def test_both_streams_are_told_on_standard_output() -> None:
    said = [event for event in await events("echo a; echo b >&2") if event["event"] == "output"]
    assert {event["stream"]: event["text"] for event in said} == {"stdout": "a\n", "stderr": "b\n"}


async def test_what_is_no_text_is_base64() -> None:
    _, output, _ = await events(r"printf '\377\n'")
    assert base64.b64decode(output["base64"]) == b"\xff\n"
    assert "text" not in output


async def test_signals_and_retries_are_told() -> None:
    told = await events("kill -9 $$", retries=Retries(1, first=0.01))
    assert [event["event"] for event in told] == ["started", "retrying", "started", "ended"]
    assert told[1]["attempt"] == 2
    assert told[1]["signal"] == told[3]["signal"] == 9
    assert told[3]["status"] is None


async def test_with_results_output_goes_there(tmp_path: Path) -> None:
    told = await events("echo a", form=Form("json", results=tmp_path))
    assert [event["event"] for event in told] == ["started", "ended"]
    assert (tmp_path / "1" / "echo a" / "stdout").read_bytes() == b"a\n"


def test_words_that_are_no_text_are_escaped_as_json_has_it() -> None:
    command = Command(("a\udcff",))
    said = line(Started(1, 1.5, command, 2), Work(7, ""), ":")
    assert json.loads(said) == {
        "event": "started", "job": 7, "time": 1.5, "pid": 2, "command": ["a\udcff"],
        "arguments": [],
    }  # fmt: skip
    assert said.isascii()


def test_what_nobody_knows_is_null_and_a_host_is_named() -> None:
    end = End(None, None, 1.0, reason="lost", error="a: gone")
    assert json.loads(line(Ended(1, 2.0, Command(("a",)), end), Work(1, ""), "far")) == {
        "event": "ended", "job": 1, "time": 2.0, "host": "far", "status": None, "signal": None,
        "seconds": 1.0, "user": None, "system": None, "max_rss": None, "reason": "lost",
        "error": "a: gone",
    }  # fmt: skip


def test_usage_is_in_seconds_and_bytes() -> None:
    end = End(0, None, 1.0, Usage(0.5, 0.25, sys.maxsize))
    told = json.loads(line(Ended(1, 2.0, Command(("a",)), end), Work(1, ""), ":"))
    assert (told["user"], told["system"], told["max_rss"]) == (0.5, 0.25, sys.maxsize)
