"""Which answer a client wants: HTTP/1.1 (RFC 9112), as much of it as one answer takes.

No socket and no clock here. `is_request` tells a request line from whatever else a client
says; `request` reads a whole head; `form` chooses between page, JSON and text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import parse_qs, urlsplit

Form = Literal["page", "json", "text"]

MOST_FIELDS: Final = 100
"""Header fields of a request: a browser sends about twenty."""

_REQUEST_LINE = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~]+) HTTP/(\d)\.(\d)")
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*")
_TYPES: dict[str, Form] = {
    "text/html": "page",
    "application/json": "json",
    "text/plain": "text",
    "text/*": "text",
    "*/*": "text",
}
_FORMATS: dict[str, Form] = {"html": "page", "json": "json", "text": "text"}
_PATHS: dict[str, Form | None] = {"/": None, "/json": "json", "/text": "text"}


class RefusedError(Exception):
    """A request that gets no answer: a status, and why in one line."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True)
class Request:
    """A request's head; `accept` is empty if any form will do."""

    method: str
    target: str
    accept: str = ""


def is_request(line: bytes) -> bool:
    """Whether a client's first line is HTTP's, well formed or not."""
    return re.search(rb" HTTP/\d", line) is not None


def request(head: bytes) -> Request:
    """Take a head apart, from its request line to the empty line. Raises `RefusedError`."""
    first, *lines = head.decode("latin-1").removesuffix("\n").split("\n")
    line = _REQUEST_LINE.fullmatch(first.removesuffix("\r"))
    if line is None:
        raise RefusedError(400, "the request line is not: METHOD TARGET HTTP/1.1")
    method, target, major, minor = line.groups()
    if major != "1":
        raise RefusedError(505, "this server speaks HTTP/1.1")
    if len(lines) > MOST_FIELDS:
        raise RefusedError(431, f"more than {MOST_FIELDS} header fields")
    fields = [_field(each.removesuffix("\r")) for each in lines if each.strip("\r")]
    hosts = [value for name, value in fields if name == "host"]
    if len(hosts) > 1 or (not hosts and minor != "0"):  # RFC 9112 section 3.2
        raise RefusedError(400, "a request has one Host field")
    accept = ", ".join(value for name, value in fields if name == "accept")
    return Request(method, target, accept)


def form(request: Request) -> Form:
    """What its method, path, query and Accept field ask for. Raises `RefusedError`."""
    if request.method not in ("GET", "HEAD"):
        raise RefusedError(405, "this server knows GET and HEAD")
    try:
        target = urlsplit(request.target)
        formats = parse_qs(target.query, max_num_fields=10).get("format", [])
    except ValueError as error:
        raise RefusedError(400, f"the target is no URL: {error}") from None
    if target.path not in _PATHS:
        raise RefusedError(404, "there is /, /json and /text")
    if formats and formats[-1] not in _FORMATS:
        raise RefusedError(400, "format is html, json or text")
    return _FORMATS[formats[-1]] if formats else _PATHS[target.path] or preferred(request.accept)


def preferred(accept: str) -> Form:
    """The form that an Accept field prefers (RFC 9110 section 12.5.1), text if it does not care.

    Of several that it likes as much, one that it names goes before a ``*``, then the first.
    """
    best: tuple[float, bool] = (0.0, False)
    found: Form = "text"
    for item in accept.split(","):
        kind, *parameters = (part.strip().lower() for part in item.split(";"))
        liking = (_quality(parameters), "*" not in kind)
        if kind in _TYPES and liking[0] > 0 and liking > best:
            best, found = liking, _TYPES[kind]
    return found


def _field(line: str) -> tuple[str, str]:
    field = _FIELD.fullmatch(line)
    if field is None:
        raise RefusedError(400, "a header field is not: NAME: VALUE")
    return field[1].lower(), field[2]


def _quality(parameters: list[str]) -> float:
    """A value from 0 to 1 (RFC 9110 section 12.4.2); what is no such value is 1."""
    for each in parameters:
        if re.fullmatch(r"q=(0(\.\d{0,3})?|1(\.0{0,3})?)", each):
            return float(each[2:])
    return 1.0
