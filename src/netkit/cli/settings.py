"""Dataclasses become settings: one field, one flag, one environment variable, one TOML key."""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import typer

from netkit.errors import UsageError

T = TypeVar("T")

SIMPLE = (str, int, float, bool, Path)

SECRETS = ("password", "secret", "token")
"""How the names of settings end that are never shown; ``metadata={"secret": True}`` adds others."""


@dataclass(frozen=True)
class Setting:
    """One thing that can be set, wherever its value comes from."""

    name: str
    """Unique in a command, with its prefix: ``limit_idle``."""
    kind: Any
    """What one value is: str, int, float, bool, Path or a Literal of str."""
    many: bool = False
    """Whether it takes any number of values."""
    optional: bool = False
    """Whether it may be None."""
    default: Any = None
    """`dataclasses.MISSING` if it must be given."""
    help: str = ""
    panel: str = ""
    """Under which heading it is listed."""
    secret: bool = False
    """Whether its value must not be shown."""

    @property
    def key(self) -> str:
        """Its name in a file, and as a flag without the dashes."""
        return self.name.replace("_", "-")

    @property
    def flag(self) -> str:
        """``--limit-idle``."""
        return f"--{self.key}"

    @property
    def variable(self) -> str:
        """``NETKIT_LIMIT_IDLE``."""
        return f"NETKIT_{self.name.upper()}"

    @property
    def switch(self) -> bool:
        """Whether its flag takes no value."""
        return self.kind is bool and not self.many

    def parameter(self, given: Mapping[str, Any]) -> inspect.Parameter:
        """A keyword parameter with its Typer option; a value in `given` replaces the default."""
        default = given.get(self.name, self.default)
        # What is on in the file or by default needs a way to be turned off.
        both = self.kind is bool and True in (default, self.default)
        kind = types.GenericAlias(list, (self.kind,)) if self.many else self.kind
        info = typer.Option(
            f"{self.flag}/--no-{self.key}" if both else self.flag,
            help=self.help or None,
            envvar=self.variable,
            show_envvar=False,
            show_default=not self.secret and default not in (None, "", (), False),
            rich_help_panel=self.panel or None,
        )
        if isinstance(default, tuple):
            default = list(default)
        return inspect.Parameter(
            self.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=... if default is dataclasses.MISSING else default,
            annotation=Annotated[kind | None if self.optional else kind, info],
        )


def settings(cls: type, *, prefix: str = "", panel: str = "") -> list[Setting]:
    """The settings that a dataclass's fields are.

    A field ``idle`` with prefix "limit_" is ``--limit-idle``, ``NETKIT_LIMIT_IDLE`` and
    ``limit-idle``. Raises `UsageError` for a field whose type a command line cannot give.
    """
    hints = typing.get_type_hints(cls)
    return [_setting(field, hints[field.name], prefix, panel, cls) for field in _fields(cls)]


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


def _setting(
    field: dataclasses.Field[Any], hint: Any, prefix: str, panel: str, cls: type
) -> Setting:
    kind, many, optional = _taken_apart(hint)
    if kind is None:
        raise UsageError(
            f"{cls.__name__}.{field.name}: a setting is a str, int, float, bool, Path or "
            f"Literal of str, not {hint}"
        )
    return Setting(
        prefix + field.name,
        kind,
        many,
        optional,
        _default(field),
        field.metadata.get("help") or "",
        panel,
        field.metadata.get("secret", field.name.endswith(SECRETS)),
    )


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _taken_apart(hint: Any) -> tuple[Any, bool, bool]:
    """What one value is (None if a command line cannot give it), whether many, whether None."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        # Typer takes no lists of choices, and a list of switches cannot be typed.
        return arguments[0] if arguments[0] in (str, int, float, Path) else None, True, False
    if origin in (Union, types.UnionType):
        rest = [each for each in arguments if each is not type(None)]
        return _one(rest[0]) if len(rest) == 1 else None, False, True
    return _one(hint), False, False


def _one(hint: Any) -> Any:
    if get_origin(hint) is Literal:
        return hint if all(isinstance(each, str) for each in get_args(hint)) else None
    return hint if hint in SIMPLE else None
