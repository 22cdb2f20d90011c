"""Facts in words: a few sections of rows, which `text` and `page` show each in its way."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from netkit.servers.tls.facts import Facts, Group, Offer

WIDTH = 88
"""Columns of the text: two more than the longest name of a suite needs beside its label."""

LABEL = 15


@dataclass(frozen=True)
class Row:
    """A label and what belongs to it, in one piece or as a list."""

    label: str
    value: str | list[str]


@dataclass(frozen=True)
class Section:
    """Rows under a title."""

    title: str
    rows: list[Row]


def headline(facts: Facts) -> str:
    """The whole of it in a sentence."""
    if facts.version is None:
        return "This connection is not encrypted."
    return f"You are connected with {_version(facts)}, {facts.cipher}."


def sections(facts: Facts) -> Iterator[Section]:
    """What was negotiated, who the client is, and what it had offered."""
    if facts.version is None:
        return
    yield Section(
        "Negotiated",
        [
            Row("version", _version(facts)),
            Row("cipher suite", f"{facts.cipher}, {facts.bits} bits"),
            Row("key exchange", _group(facts.group)),
            Row("server name", facts.server_name or "none was asked for (SNI)"),
            Row("ALPN", facts.alpn or "no protocol was agreed on"),
            Row("session", "resumed from an earlier one" if facts.resumed else "new"),
            Row("your address", facts.peer),
        ],
    )
    yield from _certificates(facts)
    if facts.offer is None:
        return
    yield Section(
        "Your client",
        [
            Row("JA4", facts.offer.ja4),
            Row("JA3", facts.offer.ja3),
            Row("would resume", facts.offer.resumption),
            Row("GREASE", "sent (RFC 8701)" if facts.offer.grease else "not sent"),
        ],
    )
    yield Section("Its offer", list(_offered(facts.offer)))


def text(facts: Facts) -> str:
    """Lines for a terminal, with CRLF line ends."""
    lines = [headline(facts)]
    for section in sections(facts):
        lines += ["", section.title]
        for row in section.rows:
            lines += _lines(row)
    return "".join(f"{printable(line)}\r\n" for line in lines)


def data(facts: Facts) -> dict[str, Any]:
    """What JSON says: the facts as they are, times as ISO 8601."""
    found = asdict(facts)
    for each in found["certificate"]["chain"]:
        for key in ("not_before", "not_after"):
            each[key] = each[key].isoformat()
    return found


def printable(line: str) -> str:
    """A line without control characters, which a terminal would obey."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)


def _version(facts: Facts) -> str:
    return (facts.version or "").replace("TLSv", "TLS ")


def _group(group: Group) -> str:
    return f"{group.name} ({group.why})" if group.name and group.why else group.name or group.why


def _certificates(facts: Facts) -> Iterator[Section]:
    chain = facts.certificate.chain
    if not chain:
        yield Section("Your certificate", [Row("certificate", facts.certificate.why)])
    for number, each in enumerate(chain):
        rows = [Row(line[:8].rstrip(), line[9:]) for line in each.lines()]
        if number == 0:
            rows.append(Row("trusted", facts.certificate.why))
        title = "Your certificate" if number == 0 else f"Its issuer {number}"
        yield Section(title, rows)


def _offered(offer: Offer) -> Iterator[Row]:
    lists = {
        "versions": offer.versions,
        "cipher suites": offer.cipher_suites,
        "groups": offer.groups,
        "key shares": offer.key_shares,
        "signatures": offer.signature_algorithms,
        "ALPN": offer.alpn,
        "extensions": offer.extensions,
    }
    for label, names in lists.items():
        yield Row(label, names or "none")


def _lines(row: Row) -> list[str]:
    value = row.value if isinstance(row.value, str) else ", ".join(row.value)
    first = f"  {row.label:<{LABEL - 2}}"
    return textwrap.wrap(
        value,
        WIDTH,
        initial_indent=f"{first:<{LABEL}} ",
        subsequent_indent=" " * (LABEL + 1),
        break_on_hyphens=False,
    ) or [first.rstrip()]
