"""The broadcaster's settings as people write them; what makes no sense gets one line."""

from __future__ import annotations

import re
import secrets

from netkit.addresses import Address, parse
from netkit.errors import UsageError
from netkit.servers.broadcast.bucket import Rate, parse_rate

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}
_SECONDS = re.compile(r"(\d+(?:\.\d+)?|\.\d+) ?(us|ms|s|m|h|)", re.ASCII)
_SENDER = re.compile(r"[0-9a-fA-F]{8}", re.ASCII)
_BLOCK = re.compile(r"(\d{1,3})\+(\d{1,3})", re.ASCII)
_SHORTEST, _LONGEST = 1e-6, 1e6


def destination(text: str) -> Address:
    """Where to send: ``239.1.2.3:9999``, ``[ff02::1%eth0]:9999``. Raises UsageError."""
    address = parse(text, default_scheme="udp", flag="--to")
    if address.scheme != "udp":
        raise UsageError(f"--to {text}: datagrams go to ADDR:PORT")
    return address


def subscription(text: str) -> str:
    """Where listeners subscribe, as ``--bind`` has it; a bare port is open to the network."""
    everywhere = "0.0.0.0"  # noqa: S104  # whoever subscribes is elsewhere
    address = parse(text, default_scheme="udp", default_host=everywhere, flag="--subscribe")
    if address.scheme != "udp":
        raise UsageError(f"--subscribe {text}: give PORT or HOST:PORT")
    return str(address)


def seconds(text: str, flag: str) -> float:
    """A period: ``1s``, ``20ms``, ``500us``, ``2m``. Raises UsageError."""
    match = _SECONDS.fullmatch(text.strip())
    period = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if not _SHORTEST <= period <= _LONGEST:
        raise UsageError(f"{flag} {text}: give a time such as 1s, 20ms or 500us")
    return period


def rate(text: str, flag: str) -> Rate:
    """A rate: ``5000/s`` of datagrams, ``10Mbit/s``. Raises UsageError."""
    try:
        return parse_rate(text)
    except UsageError as error:
        raise UsageError(f"{flag}: {error}") from None


def bits(text: str, flag: str) -> float:
    """A rate that has to be in bits; bytes a second of it. Raises UsageError."""
    found = rate(text, flag)
    if not found.bits:
        raise UsageError(f"{flag} {text}: give it in bits, such as 10Mbit/s")
    return found.per_second / 8


def sender(text: str | None) -> int:
    """The name of a sender; a random one unless given. Raises UsageError."""
    if text is None:
        return secrets.randbits(32)
    if not _SENDER.fullmatch(text):
        raise UsageError(f"--sender {text}: give 8 hex digits, such as 1a2b3c4d")
    return int(text, 16)


def block(text: str) -> tuple[int, int]:
    """A block's data and parity: ``10+1``. Raises UsageError."""
    match = _BLOCK.fullmatch(text)
    if not match:
        raise UsageError(f"--parity {text}: give K+R, such as 10+1: one more after each ten")
    return int(match[1]), int(match[2])


def exactly_one(**sources: object) -> None:
    """Raise UsageError unless one of them says what to send."""
    given = [f"--{name}" for name, value in sources.items() if value is not None]
    if not given:
        known = ", ".join(f"--{name}" for name in sources)
        raise UsageError(f"what is to be sent? give one of {known}")
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)}: a feed has one source; give one of them")


def at_least(name: str, value: float, least: int) -> None:
    """Raise UsageError if a number is below what makes sense."""
    if not value >= least:  # so that nan fails too
        raise UsageError(f"--{name.replace('_', '-')} {value}: give at least {least}")


def none_with_raw(**settings: object) -> None:
    """Raise UsageError for what takes a header to be of use."""
    for name, value in settings.items():
        if value is not None:
            raise UsageError(f"--{name}: --raw sends no header for it; leave one of them out")
