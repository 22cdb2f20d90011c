"""Which of a server's certificates are for a client: by the host name it asks for, and of
those one for each kind of key, among which OpenSSL takes one that the client can verify.
"""

from __future__ import annotations

from collections.abc import Sequence

from netkit.tls.pair import Pair

OTHERS = ""
"""Stands for every name that no certificate has, and for clients that ask for none."""


def choices(pairs: Sequence[Pair]) -> dict[str, tuple[int, ...]]:
    """The pairs for each host name that one of them has, by their places.

    `OTHERS` gets the first pair, and beside it those that are for all of its names too.
    """
    found = {name: _one_of_each_kind(pairs, {name}) for each in pairs for name in each.hosts}
    return found | {OTHERS: _one_of_each_kind(pairs, set(pairs[0].hosts), first=pairs[0])}


def candidates(host: str | None) -> tuple[str, ...]:
    """The names under which to look for the host name that a client sent, best first."""
    if not host:
        return (OTHERS,)
    exact = host.lower()
    # RFC 9525 6.3: a wildcard stands for one label, the leftmost.
    return exact, f"*.{exact.partition('.')[2]}", OTHERS


def _one_of_each_kind(
    pairs: Sequence[Pair], names: set[str], first: Pair | None = None
) -> tuple[int, ...]:
    kinds: dict[str, int] = {}
    for place, each in enumerate(pairs):
        if each is first or (names and names <= set(each.hosts)):
            kinds.setdefault(each.algorithm, place)
    return tuple(kinds.values())
