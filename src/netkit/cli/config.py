"""Settings from a TOML file: the flags' names and values, checked before anything uses them.

Rules:

- A key is a flag without its dashes: ``limit-idle``, or ``limit_idle``; never both.
- Everything stands at the top, also what is the service's own, as it does on the
  command line and in the environment: a server named ``module:attr`` has no name
  that a table could bear, and netkit refuses a service whose settings clash with its own.
- A relative path is relative to the file's folder.
- Nothing is ignored: what is not understood is an error that names file and key.
"""

from __future__ import annotations

import contextlib
import datetime
import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from netkit.cli.settings import Setting
from netkit.errors import NetkitError, UsageError

LARGEST = 1_048_576
"""Bytes of a file: far more than all settings need."""

WORDS: dict[type, str] = {
    bool: "true or false",
    str: "text in quotes",
    int: "a whole number",
    float: "a number",
    Path: "a path in quotes",
    list: "a list",
    dict: "a table",
    datetime.datetime: "a date",
    datetime.date: "a date",
    datetime.time: "a time",
}

_FLAG = re.compile(r"--([a-z0-9-]+)")
_AT_LINE = re.compile(r"at line (\d+)")
_KEY = re.compile(r"\s*([A-Za-z0-9_-]{1,60})\s*=")
_UNIX = re.compile(r"unix:[^/@]", re.IGNORECASE)  # a relative path


@dataclass(frozen=True)
class File:
    """What a file says; an empty one stands for no file."""

    path: Path = Path()
    table: Mapping[str, Any] = field(default_factory=dict)
    """Keys as written, values as TOML has them."""

    def get(self, setting: Setting) -> Any:
        """The value of a setting; None if it is not there. Raises `UsageError`."""
        for key, value in self.table.items():
            if _name(key) == setting.name:
                return self._checked(setting, key, value)
        return None

    def values(self, settings: Sequence[Setting], target: str) -> dict[str, Any]:
        """All values by name. Raises `UsageError`, also for a key that is none of `settings`."""
        known = {each.name: each for each in settings}
        for key in self.table:
            if _name(key) not in known:
                raise UsageError(f"{self.path}: {self._unknown(key, list(known.values()), target)}")
        return {
            _name(key): self._checked(known[_name(key)], key, value)
            for key, value in self.table.items()
        }

    @contextlib.contextmanager
    def blamed(self, given: Mapping[str, Any], used: Mapping[str, Any]) -> Iterator[None]:
        """Name the file in an error about a flag whose value comes from here.

        `given` are this file's values, `used` those in force.
        """
        try:
            yield
        except NetkitError as error:
            flag = _FLAG.match(str(error))
            name = _name(flag[1]) if flag else ""
            if name in given and _same(given[name], used.get(name)):
                error.args = (f"{self.path}: {error}",)
            raise

    def _unknown(self, key: str, known: Sequence[Setting], target: str) -> str:
        shown = _shown(key)
        if isinstance(self.table[key], dict):
            return (
                f"[{shown}]: there are no tables; write each setting at the top, "
                "by its full name, like limit-idle"
            )
        written = _name(key.lower().removeprefix("--")).replace("_", "-")
        if written.removeprefix("no-") in {each.key for each in known if each.kind is bool}:
            mend = f"write {written.removeprefix('no-')} = true or false"
        elif near := difflib.get_close_matches(written, [each.key for each in known], 1):
            mend = f"did you mean {near[0]}?"
        else:
            mend = f"netkit serve {target} --help lists them"
        return f"{shown}: {target} has no such setting; {mend}"

    def _checked(self, setting: Setting, key: str, value: Any) -> Any:
        if not setting.many:
            return self._one(setting, key, value)
        if not isinstance(value, list):
            raise self._wrong(key, f"a list, like {key} = [{_example(setting.kind)}]", value)
        return tuple(self._one(setting, key, each) for each in value)

    def _one(self, setting: Setting, key: str, value: Any) -> Any:
        kind, found = setting.kind, type(value)
        if get_origin(kind) is Literal:
            if found is str and value in get_args(kind):
                return value
            raise self._wrong(key, "one of " + ", ".join(map(_quoted, get_args(kind))), value)
        if kind is str and found is int:
            value = str(value)  # workers = 4
        elif kind is float and found is int:
            try:
                value = float(value)
            except OverflowError:
                raise UsageError(f"{self.path}: {key}: too large a number; write inf") from None
        elif kind is Path and found is str and value:
            value = Path(value)
        if type(value) is not kind and not (kind is Path and isinstance(value, Path)):
            raise self._wrong(key, WORDS[kind], value)
        if "\0" in str(value):
            raise UsageError(f"{self.path}: {key}: a setting holds no NUL character; take it out")
        return anchored(setting, value, self.path.parent)

    def _wrong(self, key: str, wanted: str, value: Any) -> UsageError:
        found = WORDS[type(value)].removesuffix(" in quotes")
        if wanted.startswith("one of") and isinstance(value, str):
            found = ascii(value)
        elif value == "":
            found = "empty text"
        return UsageError(f"{self.path}: {key}: give {wanted}, not {found}")


def read(path: Path, named_by: str = "--config") -> File:
    """Read a file. Raises `UsageError`, which says whose mistake it is: `named_by` gave the path.

    It must be a regular file, since each worker reads it again.
    """
    mend = "give the path of a TOML file"
    try:
        if path.exists() and not path.is_file():
            raise UsageError(f"{named_by} {path}: no regular file; {mend}")
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{named_by} {path}: {why}; {mend}") from None
    if len(content) > LARGEST:
        raise UsageError(f"{named_by} {path}: larger than {LARGEST} bytes; {mend}")
    table = _parsed(path, content)
    _check_twice(path, table)
    return File(path, table)


def _parsed(path: Path, content: bytes) -> dict[str, Any]:
    text = ""
    try:
        text = content.decode("utf-8-sig")
        return tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: byte {error.start} is not UTF-8; save it as UTF-8") from None
    except RecursionError:
        raise UsageError(f"{path}: lists within lists, too deep for any setting") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: not TOML: {_near(text, error)}{error}; mend it there") from None
    except ValueError:  # int()'s: CPython converts 4,300 digits at most
        raise UsageError(f"{path}: a number of thousands of digits; take it out") from None


def _near(text: str, error: tomllib.TOMLDecodeError) -> str:
    """The key on the line of an error; the rest of the line may be secret."""
    at, lines = _AT_LINE.search(str(error)), text.rstrip().splitlines()
    number = int(at[1]) if at else len(lines)
    key = _KEY.match(lines[number - 1]) if 0 < number <= len(lines) else None
    return f"{key[1]}: " if key else ""


def _check_twice(path: Path, table: Mapping[str, Any]) -> None:
    seen: dict[str, str] = {}
    for key in table:
        other = seen.setdefault(_name(key), key)
        if other != key:
            twice = f"{_shown(other)} and {_shown(key)}"
            raise UsageError(f"{path}: {twice} are the same setting; keep one")


def anchored(setting: Setting, value: Any, folder: Path) -> Any:
    """A value that means the same from everywhere, by the folder that its paths start from."""
    if isinstance(value, Path):
        abstract = setting.name == "uds" and str(value).startswith("@")
        return value if abstract else folder / value
    if setting.name == "bind" and _UNIX.match(value):
        scheme, _, path = value.partition(":")
        return f"{scheme}:{_joined(folder, path)}"
    if setting.name == "target":
        place, colon, attribute = value.rpartition(":")
        if colon and (place.endswith(".py") or "/" in place):
            return f"{_joined(folder, place)}:{attribute}"
    return value


def _joined(folder: Path, path: str) -> str:
    """Not by `Path`, which takes away the ``./`` that tells ``./@name`` from ``@name``."""
    return path if path.startswith("/") else f"{str(folder).rstrip('/')}/{path}"


def _name(key: str) -> str:
    return key.replace("-", "_")


def _shown(key: str) -> str:
    """A key that may hold anything, without what would steer a terminal."""
    return key if key.isprintable() else ascii(key)


def _same(one: Any, other: Any) -> bool:
    other = tuple(other) if isinstance(other, list) else other
    return bool(one == other or one != one)  # nan is no second nan


def _quoted(text: str) -> str:
    return f'"{text}"'


def _example(kind: Any) -> str:
    return "1, 2" if kind in (int, float) else "true" if kind is bool else '"…"'
