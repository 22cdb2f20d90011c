"""Names become targets: built-in and plug-in servers, ``module:attr``, ``file.py:attr``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from netkit.errors import UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

GROUP = "netkit.servers"
"""Entry point group in which any package can offer servers by name."""


def names() -> list[str]:
    """The servers that can be asked for by name."""
    return sorted({point.name for point in _offered()})


def find(text: str, *, app_dir: Path | None = None, factory: bool = False) -> object:
    """The object that a target's name means.

    `app_dir` (default: the current folder) is searched first for modules.
    `factory`: the object is a function without arguments that makes the target.
    Raises `UsageError` in one line; the author's own errors are told with file and line.
    """
    for point in _offered().select(name=text) if ":" not in text else ():
        return _call(_load(text, point.load), text) if factory else _load(text, point.load)
    place, colon, attribute = text.rpartition(":")
    if not colon or not place or not attribute:
        raise UsageError(_no_such_name(text))
    module = _from_file(text, Path(place)) if _is_path(place) else _module(text, place, app_dir)
    found: Any = module
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise UsageError(f"{text}: {place} has no {attribute!r}{_offers(module)}") from None
    return _call(found, text) if factory else found


def _offered() -> EntryPoints:
    """What every installed package offers, which takes a look at each of them."""
    # Not above: with `email` and `zipfile` it is a tenth of what `import netkit` takes.
    from importlib.metadata import entry_points

    return entry_points(group=GROUP)


def _no_such_name(text: str) -> str:
    if text.endswith(".py") or "/" in text:
        return f"{text}: say which object in it to serve, like {text.rstrip(':')}:handle"
    known = ", ".join(names())
    return f"{text}: no server has that name; give one of {known}, or module:attr or file.py:attr"


def _is_path(place: str) -> bool:
    return place.endswith(".py") or "/" in place


def _from_file(text: str, path: Path) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"{text}: there is no file {path}")
    # Registered under its own name, so that dataclasses and pickles in it work; its
    # folder comes first on the path, so that its neighbours import as under `python`.
    sys.path.insert(0, str(path.parent.resolve()))
    specification = importlib.util.spec_from_file_location(path.stem, path)
    if specification is None or specification.loader is None:
        raise UsageError(f"{text}: {path} is not a Python file; its name must end with .py")
    module = importlib.util.module_from_spec(specification)
    sys.modules.setdefault(path.stem, module)
    loader = specification.loader
    _load(text, lambda: loader.exec_module(module))
    return module


def _module(text: str, name: str, app_dir: Path | None) -> ModuleType:
    sys.path.insert(0, str((app_dir or Path()).resolve()))
    try:
        found = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        found = None  # a parent package is missing
    except (ImportError, ValueError) as error:
        raise UsageError(f"{text}: {error}") from None
    if found is None:
        raise UsageError(
            f"{text}: there is no module {name}; run it where the module is, or give --app-dir"
        )
    module = _load(text, lambda: importlib.import_module(name))
    assert isinstance(module, ModuleType)
    return module


def _load(text: str, load: Any) -> object:
    try:
        return load()
    except Exception as error:  # an author's module may raise anything
        raise UsageError(
            f"{text}: importing it fails: {type(error).__name__}: {error}{_where(error)}"
        ) from error


def _where(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return ""  # says so itself
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f" ({last.filename}, line {last.lineno})"


def _call(found: object, text: str) -> object:
    if not callable(found):
        raise UsageError(f"{text}: --factory needs something to call, not {type(found).__name__}")
    return _load(text, found)


def _offers(module: ModuleType) -> str:
    """What it does have, to choose from."""
    own = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]
    return f"; it has {', '.join(own[:8])}" if own else ""
