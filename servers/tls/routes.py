"""Which upstreams a connection leads to, by what its client asked for: SNI and ALPN.

A route is written as ``sni=NAME,alpn=PROTOCOL,to=HOST:PORT``. Conditions of one kind are
alternatives, those of different kinds must all hold; several ``to=`` are the route's
upstreams. The first route that fits counts, in the order given; otherwise ``--to``.

``*.shop.test`` stands for one label: it fits ``www.shop.test``, but neither ``shop.test``
nor ``a.b.shop.test`` (as RFC 6125 section 6.4.3 has it for certificates).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from netkit.errors import UsageError

T = TypeVar("T")

EXAMPLE = "sni=shop.test,alpn=h2,to=127.0.0.1:8443"

# A comma belongs to what it stands in (a path, a command) unless one of our keys follows.
_BETWEEN = re.compile(r",(?=(?:sni|alpn|to)=)")
_NAME = re.compile(r"(?:\*\.)?(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")


@dataclass(frozen=True)
class Conditions:
    """What a client must have asked for; empty: anything."""

    names: frozenset[str] = frozenset()
    """Host names in lower case, without a root's dot; the first label may be ``*``."""
    protocols: frozenset[str] = frozenset()

    def fit(self, name: str | None, protocol: str | None) -> bool:
        """Whether they hold for a client's SNI and the protocol that ALPN has chosen."""
        if self.protocols and protocol not in self.protocols:
            return False
        if not self.names:
            return True
        asked = (name or "").rstrip(".").lower()
        return asked in self.names or f"*.{asked.partition('.')[2]}" in self.names


@dataclass(frozen=True)
class Written:
    """A route as it was written."""

    conditions: Conditions
    protocols: tuple[str, ...]
    """In the order given, since it is that in which they are offered."""
    to: tuple[str, ...]


class Table(Generic[T]):
    """Routes in order, and what there is besides."""

    def __init__(self, routes: Sequence[tuple[Conditions, T]], default: T | None) -> None:
        self._routes, self._default = tuple(routes), default

    def find(self, name: str | None, protocol: str | None) -> T | None:
        """Where a client leads to; None: nowhere."""
        for conditions, found in self._routes:
            if conditions.fit(name, protocol):
                return found
        return self._default


def parse(text: str) -> Written:
    """Read a route. Raises `UsageError`, whose line shows a right one."""
    found: dict[str, list[str]] = {"sni": [], "alpn": [], "to": []}
    for part in _BETWEEN.split(text):
        key, equals, value = part.partition("=")
        if key not in found or not equals or not value:
            raise _wrong(text, f"{part!r} is none of sni=NAME, alpn=PROTOCOL and to=UPSTREAM")
        found[key].append(value)
    if not found["to"]:
        raise _wrong(text, "to= is missing")
    if not found["sni"] and not found["alpn"]:
        raise _wrong(text, "without sni= or alpn= it is for everybody, which is what --to is for")
    names = frozenset(_name(each, text) for each in found["sni"])
    conditions = Conditions(names, frozenset(found["alpn"]))
    return Written(conditions, tuple(found["alpn"]), tuple(found["to"]))


def asked(name: str | None, protocol: str | None) -> str:
    """What a client has asked for, in words for a log; a peer has a say in them."""
    wishes = [f"{key} {value!r}" for key, value in (("SNI", name), ("ALPN", protocol)) if value]
    return " and ".join(wishes) or "a client without SNI and ALPN"


def _name(given: str, text: str) -> str:
    star, name = ("*.", given[2:]) if given.startswith("*.") else ("", given)
    try:
        plain = star + name.rstrip(".").encode("idna").decode().lower()
    except UnicodeError:
        plain = ""
    if not _NAME.fullmatch(plain):
        raise _wrong(text, f"{given!r} is no host name, with *. before it or not")
    return plain


def _wrong(text: str, why: str) -> UsageError:
    return UsageError(f"--route {text}: {why}; write it like {EXAMPLE}")
