"""What ``--dump-config`` prints is TOML, and reads back to the same settings."""

from __future__ import annotations

import math
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netkit.cli import main
from netkit.cli.config import File
from netkit.cli.dump import dump
from netkit.cli.serve import GENERAL, TARGET
from netkit.cli.settings import Setting, build
from netkit.cli.settings import settings as settings_of
from netkit.errors import UsageError
from tests.settings.served import Every

OWN = settings_of(Every, panel="Every: Every kind of setting")
TARGET_NAME = "tests.settings.served:Every"

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
PATHS = TEXT.filter(bool).map(Path)
VALUES = st.builds(
    Every,
    word=TEXT,
    words=st.lists(TEXT, max_size=3).map(tuple),
    wordless=st.none() | TEXT,
    number=st.integers(),
    numbers=st.lists(st.integers(), max_size=3).map(tuple),
    share=st.floats(),
    shares=st.lists(st.floats(), max_size=3).map(tuple),
    shareless=st.none() | st.floats(),
    on=st.booleans(),
    off=st.booleans(),
    path=st.none() | PATHS,
    paths=st.lists(PATHS, max_size=3).map(tuple),
    colour=st.sampled_from(["red", "green"]),
)


def same(one: Any, other: Any) -> bool:
    """Equal and of one type, with nan equal to nan."""
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    nan = isinstance(one, float) and math.isnan(one) and math.isnan(other)
    return type(one) is type(other) and (nan or one == other)


def values(every: Every) -> dict[str, Any]:
    return {each.name: getattr(every, each.name) for each in fields(every)}


@given(VALUES)
def test_every_kind_of_value(every: Every) -> None:
    text = dump(OWN, values(every), Path("/"))
    read = build(Every, File(Path("/x.toml"), tomllib.loads(text)).values(OWN, "Every"))
    for name, value in values(every).items():
        # A file knows paths from the root alone.
        if isinstance(value, Path):
            value = Path("/") / value
        elif name == "paths":
            value = tuple(Path("/") / each for each in value)
        assert same(getattr(read, name), value), name


@given(every=VALUES)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_through_the_command(
    every: Every, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Typer, which sees the file's values as defaults, leaves them as they are."""
    everything = [TARGET, *OWN, *GENERAL]
    defaults = {each.name: each.default for each in everything}
    text = dump(everything, {**defaults, **values(every), "target": TARGET_NAME}, Path("/"))
    file = tmp_path / "x.toml"
    file.write_bytes(text.encode())
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--config", str(file), "--dump-config"])
    printed = capfdbinary.readouterr()
    assert ended.value.code == 0, printed.err
    assert printed.out.decode() == text


@given(st.text(st.characters(categories=["Cc", "Zl", "Zp", "Cf", "Cs"])))
def test_any_help(text: str) -> None:
    setting = Setting("word", str, help=text, panel=text)
    assert tomllib.loads(dump([setting], {"word": "x"}, Path("/"))) == {"word": "x"}


def test_what_is_none_or_secret_is_a_comment() -> None:
    every = Every(pass_phrase="sesame", api_token="sesame")
    lines = dump(OWN, values(every), Path("/")).splitlines()
    assert "# wordless = …" in lines
    assert "# hush" in lines
    assert "# pass-phrase = …  (secret: not shown; give it as NETKIT_PASS_PHRASE)" in lines
    assert "# api-token = …  (secret: not shown; give it as NETKIT_API_TOKEN)" in lines
    assert "sesame" not in "\n".join(lines)


def test_the_keys_password_is_a_secret() -> None:
    assert [each.name for each in GENERAL if each.secret] == ["ssl_keyfile_password"]


def test_text_that_is_not_unicode() -> None:
    setting = Setting("uds", Path)
    with pytest.raises(UsageError, match="--uds: not Unicode"):
        dump([setting], {"uds": Path("\udcff")}, Path("/"))
