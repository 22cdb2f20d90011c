"""What a target is: its kind is found once, before anything listens."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable
from typing import Any, cast

from netkit.errors import UsageError
from netkit.service import DatagramFactory, ProtocolFactory, Service, StreamHandler

KINDS = (
    "an async def handle(reader, writer), a Protocol or DatagramProtocol class "
    "or factory, or a netkit.Service"
)


class Plain(Service):
    """A service without state around a handler or protocol factory that needs none."""

    def __init__(
        self,
        stream: StreamHandler | ProtocolFactory | None = None,
        datagram: DatagramFactory | None = None,
    ) -> None:
        self._stream = stream
        self._datagram = datagram

    def stream(self) -> StreamHandler | ProtocolFactory | None:
        """What it was given."""
        return self._stream

    def datagram(self) -> DatagramFactory | None:
        """What it was given."""
        return self._datagram


def as_service(target: object, name: str = "target") -> Service:
    """Wrap a target of any of the four kinds as a service.

    A plain function is taken for a protocol factory; it is called once here to
    see what it makes. Raises `UsageError`, with `name`, for anything else.
    """
    if isinstance(target, Service):
        return target
    if isinstance(target, type):
        return _from_class(target, name)
    if not callable(target):
        raise UsageError(f"{name}: a {type(target).__name__} cannot be served; give {KINDS}")
    if is_handler(target):
        _check_arguments(target, name)
        return Plain(cast(StreamHandler, target))
    return _from_factory(target, name)


def is_handler(target: object) -> bool:
    """Whether it is an ``async def`` (also a method, partial or object with async __call__)."""
    while isinstance(target, functools.partial):
        target = target.func
    return inspect.iscoroutinefunction(target) or inspect.iscoroutinefunction(
        getattr(type(target), "__call__", None)  # noqa: B004  # the method itself is looked at
    )


def _from_class(target: type, name: str) -> Service:
    if issubclass(target, Service):
        try:
            return target()
        except TypeError as error:
            raise UsageError(f"{name}: its settings have no default: {error}") from None
    if issubclass(target, asyncio.DatagramProtocol):
        return Plain(datagram=target)
    if issubclass(target, (asyncio.Protocol, asyncio.BufferedProtocol)):
        return Plain(target)
    raise UsageError(f"{name}: class {target.__name__} cannot be served; give {KINDS}")


def _from_factory(target: Callable[..., Any], name: str) -> Service:
    try:
        inspect.signature(target).bind()
    except (TypeError, ValueError):
        raise UsageError(
            f"{name}: it takes arguments, but is not an async def; give {KINDS}"
        ) from None
    made = target()
    if isinstance(made, asyncio.DatagramProtocol):
        return Plain(datagram=target)
    if isinstance(made, (asyncio.Protocol, asyncio.BufferedProtocol)):
        return Plain(target)
    if inspect.isawaitable(made):
        getattr(made, "close", lambda: None)()
    raise UsageError(f"{name}: it makes a {type(made).__name__}; give {KINDS}")


def _check_arguments(target: Callable[..., Any], name: str) -> None:
    try:
        inspect.signature(target).bind("reader", "writer")
    except TypeError:
        raise UsageError(
            f"{name}: a stream handler is called as handle(reader, writer); "
            f"this one takes {inspect.signature(target)}"
        ) from None
    except ValueError:  # no signature to be had: it is tried with the first connection
        return
