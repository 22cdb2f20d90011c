"""Where a feed is announced: on the links that it is sent through, and on no others."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from netkit.addresses import Address
from netkit.errors import StartError
from netkit.feeds import mdns
from netkit.feeds.discovery import Announced
from netkit.feeds.interfaces import IP, Interface, find, interfaces
from netkit.feeds.resolving import resolved


@dataclass(frozen=True, slots=True)
class Place:
    """What is announced on one link."""

    link: Interface
    announced: Announced
    addresses: tuple[IP, ...]
    """Ours, as they are announced: those at which one can subscribe, if one can."""

    @property
    def port(self) -> int:
        """For the SRV record, which has one: that of subscriptions, else of the feed."""
        return self.announced.subscribe or self.announced.destinations[0].port


def places(
    feed: Announced, to: Sequence[Address], interface: str, subscribe: Iterable[str]
) -> list[Place]:
    """Where to announce a feed, and what there.

    `feed` has no destinations yet: those `to` which it is sent are told on the links by
    which they go. `subscribe` are the addresses that take subscriptions. One of all links
    adds none to these; but of a feed that is sent nowhere else it is told on `interface`,
    or on all. Raises `UsageError`, and `StartError` if there is nowhere to announce it.
    """
    ways: dict[int, list[Address]] = {}
    for destination in to:
        ip = resolved(destination, interface, "--to").ip
        told = replace(destination, host=str(ip))
        ways.setdefault(through(destination, interface).index, []).append(told)
    served = [ipaddress.ip_address(host.partition("%")[0]) for host in subscribe]
    for link in mdns.links("" if to else interface) if served else ():
        if any(at in own(link) or (at.is_unspecified and not to) for at in served):
            ways.setdefault(link.index, [])
    links = {each.index: each for each in interfaces()}
    found = [_place(links[index], feed, tuple(ways[index]), served) for index in ways]
    if not found:
        raise StartError("--announce: no interface is up; name one with --interface")
    return found


def through(destination: Address, interface: str) -> Interface:
    """The interface by which datagrams go to `destination`, as `sockets.sending` sends them."""
    to = resolved(destination, interface, "--to")
    known = interfaces()
    if any(to.ip in own(each) for each in known):  # what is sent to ourselves
        return next(each for each in known if any(ip.is_loopback for ip in own(each)))
    if to.device:
        return to.device
    with socket.socket(to.family, socket.SOCK_DGRAM) as probe:  # knows its route, sends nothing
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        try:
            probe.connect(to.where)
        except OSError as error:
            raise StartError(
                f"--announce: no route to {destination.authority} ({error.strerror}); "
                "name an interface with --interface"
            ) from None
        return find(probe.getsockname()[0].partition("%")[0], flag="--to")


def own(link: Interface) -> list[IP]:
    """Our addresses there."""
    return [each.ip for each in link.addresses]


def host_name(sender: int) -> str:
    """A name for this machine that no other has on the link, nor another program here.

    The plain one is the system's own responder's, who may have had to change it.
    """
    label = re.sub(r"[^A-Za-z0-9-]+", "-", socket.gethostname().partition(".")[0])[:40]
    return f"{label.strip('-') or 'netkit'}-{sender:08x}.local."


def _place(
    link: Interface, feed: Announced, to: tuple[Address, ...], served: Sequence[IP]
) -> Place:
    reached = [ip for ip in own(link) if any(_serves(at, ip) for at in served)]
    here = replace(feed, destinations=to, subscribe=feed.subscribe if reached else None)
    return Place(link, here, tuple(reached or own(link)))


def _serves(at: IP, ip: IP) -> bool:
    """Whether a socket bound to `at` hears what comes to `ip`."""
    return at == ip or (at.is_unspecified and at.version == ip.version)
