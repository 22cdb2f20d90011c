"""Text of ``.socket`` units: systemd listens, and hands the sockets over (see `activation`).

They stay open while the service restarts, so that newcomers wait instead of being refused.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence

from netkit.addresses import Address
from netkit.errors import UsageError
from netkit.systemd.unit import Unit, escaped


def socket_units(unit: Unit) -> dict[str, str]:
    """The ``.socket`` units by file name. Raises `UsageError` for what none can listen on."""
    return {
        f"{name}.socket": "\n".join(
            [
                "[Unit]",
                f"Description=Sockets of {escaped(unit.description)}",
                "",
                "[Socket]",
                *(line for address in group for line in _listen(address)),
                f"FileDescriptorName={group[0].scheme}",
                f"Service={unit.name}.service",
                *_how(group, unit.backlog),
                "",
                "[Install]",
                "WantedBy=sockets.target",
                "",
            ]
        )
        for name, group in _groups(unit)
    }


def socket_names(unit: Unit) -> list[str]:
    """Its socket units, without ``.socket``; a name for descriptors holds for a whole unit."""
    return [name for name, _ in _groups(unit)]


def _groups(unit: Unit) -> list[tuple[str, list[Address]]]:
    """Addresses of the same scheme; the first group bears the service's own name."""
    groups: dict[str, list[Address]] = {}
    for address in unit.addresses if unit.activated else ():
        groups.setdefault(address.scheme, []).append(address)
    names = [unit.name, *(f"{unit.name}-{scheme}" for scheme in list(groups)[1:])]
    return list(zip(names, groups.values(), strict=False))


def _how(group: Sequence[Address], backlog: int) -> Iterator[str]:
    """As netkit itself opens such sockets."""
    if group[0].scheme == "unix":
        yield "SocketMode=0600"
    if group[0].scheme != "udp":
        yield f"Backlog={backlog}"
    if any(":" in address.host for address in group):
        yield "BindIPv6Only=ipv6-only"


def _listen(address: Address) -> Iterator[str]:
    directive = "ListenDatagram" if address.scheme == "udp" else "ListenStream"
    if address.scheme == "unix":
        yield f"{directive}={escaped(address.path)}"
        return
    if not address.port:
        raise UsageError(f"--socket: {address} leaves the port open; give one")
    if not is_ip(address.host):
        raise UsageError(f"--socket: systemd listens on addresses; give {address.host}'s instead")
    yield f"{directive}={escaped(address.authority)}"


def is_ip(host: str) -> bool:
    """Whether it is an address and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
