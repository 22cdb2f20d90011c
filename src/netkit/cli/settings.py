"""Dataclasses become command-line options: one field, one flag, one environment variable."""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import typer

from netkit.errors import UsageError

T = TypeVar("T")

SIMPLE = (str, int, float, bool, Path)


def parameters(cls: type, *, prefix: str = "", panel: str = "") -> list[inspect.Parameter]:
    """A keyword parameter with a Typer option for each field of a dataclass.

    ``limit_idle`` with prefix "limit_" is ``--limit-idle`` and ``NETKIT_LIMIT_IDLE``.
    Raises `UsageError` for a field whose type a command line cannot give.
    """
    hints = typing.get_type_hints(cls)
    return [_parameter(field, hints[field.name], prefix, panel, cls) for field in _fields(cls)]


def build(cls: type[T], values: Mapping[str, Any], *, prefix: str = "") -> T:
    """Make the dataclass from a command's keyword values, lists as tuples."""
    chosen = {
        field.name: tuple(value) if isinstance(value, list) else value
        for field in _fields(cls)
        if (value := values.get(prefix + field.name, dataclasses.MISSING))
        is not dataclasses.MISSING
    }
    try:
        return cls(**chosen)
    except TypeError as error:
        if dataclasses.is_dataclass(cls):
            raise
        raise UsageError(f"{error}; make it a dataclass, whose fields become flags") from error


def _fields(cls: type) -> list[dataclasses.Field[Any]]:
    """Its settings; a class that is no dataclass has none."""
    if not dataclasses.is_dataclass(cls):
        return []
    return [field for field in dataclasses.fields(cls) if field.init]


def _parameter(
    field: dataclasses.Field[Any], hint: Any, prefix: str, panel: str, cls: type
) -> inspect.Parameter:
    name = prefix + field.name
    flag = "--" + name.replace("_", "-")
    kind = _kind(hint)
    if kind is None:
        raise UsageError(
            f"{cls.__name__}.{field.name}: a setting is a str, int, float, bool, Path or "
            f"Literal of str, not {hint}"
        )
    default = _default(field)
    if isinstance(default, tuple):
        default = list(default)
    switch = f"{flag}/--no-{flag[2:]}" if hint is bool and default else flag
    info = typer.Option(
        switch,
        help=field.metadata.get("help"),
        envvar=f"NETKIT_{name.upper()}",
        show_envvar=False,
        show_default=default not in (None, "", [], False),
        rich_help_panel=panel or None,
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=... if default is dataclasses.MISSING else default,
        annotation=Annotated[kind, info],
    )


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _kind(hint: Any) -> Any:
    """The type that Typer is given; None if a command line cannot give it."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in SIMPLE:
        return hint
    if origin is Literal:
        return hint if all(isinstance(each, str) for each in arguments) else None
    if origin in (Union, types.UnionType):
        rest = [each for each in arguments if each is not type(None)]
        return hint if len(rest) == 1 and _kind(rest[0]) is not None else None
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return types.GenericAlias(list, arguments[:1]) if _kind(arguments[0]) is not None else None
    return None
