"""A feed that was found, and how to hear it from here."""

from __future__ import annotations

from dataclasses import dataclass

from netkit.addresses import Address
from netkit.errors import NetworkError
from netkit.feeds.discovery import Announced
from netkit.feeds.interfaces import IP, interfaces, is_broadcast
from netkit.feeds.resolving import as_ip


@dataclass(frozen=True, slots=True)
class Found:
    """What somebody on a link announces. None of it is proven."""

    name: str
    """As it was announced: any text, up to 63 bytes."""
    host: str
    """The machine's name there."""
    addresses: tuple[IP, ...]
    """The machine's, those of IPv4 first."""
    interface: str
    """The link's name here."""
    announced: Announced

    @property
    def subscribe(self) -> Address | None:
        """Where to subscribe."""
        if self.announced.subscribe is None or not self.addresses:
            return None
        best = min(self.addresses, key=lambda ip: (ip.version, ip.is_link_local))
        zone = f"%{self.interface}" if best.version == 6 and best.is_link_local else ""
        return Address("udp", f"{best}{zone}", self.announced.subscribe)

    def audible(self) -> tuple[Address, ...]:
        """Its destinations that are heard here: groups, our networks, and our own addresses."""
        known = interfaces()
        own = {network.ip for each in known for network in each.addresses}
        audible = []
        for address in self.announced.destinations:
            ip = as_ip(address.host)
            if ip and (ip.is_multicast or is_broadcast(ip, known) or ip in own):
                audible.append(address)
        return tuple(audible)

    def ways(self) -> tuple[tuple[Address, ...], Address | None]:
        """What to listen on through `interface`; or, if there is nothing, where to subscribe.

        Raises `NetworkError` if it cannot be heard here.
        """
        audible = self.audible()
        if audible:
            return audible, None
        if self.subscribe and not self.announced.raw:  # that takes the header
            return (), self.subscribe
        told = ", ".join(each.authority for each in self.announced.destinations)
        raise NetworkError(
            f"{self.name}: it is sent to {told or 'nobody'}, which is not heard here"
        )
