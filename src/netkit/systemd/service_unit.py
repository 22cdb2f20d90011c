"""Text of a ``.service`` unit that runs a server with as few rights as it can do with.

Decisions:

- `DynamicUser`: nobody's account. So files of the server's own are below
  /var/lib, /run, /var/cache and /var/log only, in folders that systemd makes;
  certificates are handed over as credentials, whoever may read them.
- `KillMode=mixed`: TERM means the first process, which drains the others; after
  its grace period none is left.
- A wrong option (status 2) is not tried again, anything else is.
- What code of other people may need, the network outwards and more processes,
  is left to it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from math import ceil, inf
from pathlib import Path

from netkit.addresses import Address
from netkit.errors import UsageError
from netkit.systemd.socket_units import is_ip, socket_names
from netkit.systemd.unit import RELOADS_BY_NOTIFYING, Credential, Unit, escaped, quoted

WATCHDOG = 30
"""Seconds without a sign of life after which the service is killed and started again."""

MARGIN = 10
"""Seconds beyond the grace period until systemd kills what is left; workers get 5 of them."""

FOLDERS = {
    "/run": "RuntimeDirectory",
    "/var/lib": "StateDirectory",
    "/var/cache": "CacheDirectory",
    "/var/log": "LogsDirectory",
}
"""Where a service may write, and what makes its folder there (systemd.exec(5))."""

HOMES = ("/home", "/root", "/run/user")

HARDENING = """\
NoNewPrivileges=yes
ProtectSystem=strict
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProcSubset=pid
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RemoveIPC=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
UMask=0077"""


def service_unit(unit: Unit) -> str:
    """The ``.service`` unit. Raises `UsageError` for what such a service cannot do."""
    return "\n".join(
        [
            "[Unit]",
            f"Description={escaped(unit.description)}",
            *_order(unit),
            "",
            "[Service]",
            *_process(unit),
            "",
            "# No more rights than it needs.",
            *_rights(unit),
            HARDENING,
            f"RestrictAddressFamilies={' '.join(_families(unit))}",
            "",
            "[Install]",
            "WantedBy=multi-user.target",
            *(f"Also={name}.socket" for name in socket_names(unit)),
            "",
        ]
    )


def _families(unit: Unit) -> Iterator[str]:
    """The kinds of sockets that it may have."""
    yield from ("AF_UNIX", "AF_INET", "AF_INET6")
    if unit.asks_for_interfaces:
        yield "AF_NETLINK"


def _order(unit: Unit) -> Iterator[str]:
    names = [f"{name}.socket" for name in socket_names(unit)]
    if names:
        yield f"Requires={' '.join(names)}"
        yield f"After={' '.join(names)}"
    elif any(_is_one_interface(each) for each in unit.addresses):
        # An address can only be bound once its interface has it.
        yield "Wants=network-online.target"
        yield "After=network-online.target"
    else:
        yield "After=network.target"


def _process(unit: Unit) -> Iterator[str]:
    if unit.version >= RELOADS_BY_NOTIFYING:
        yield "Type=notify-reload"
    else:
        yield "Type=notify"
        yield "ExecReload=/bin/kill -HUP $MAINPID"
    yield f"ExecStart={quoted(unit.command)}"
    if unit.folder is not None:
        yield f"WorkingDirectory={escaped(str(unit.folder))}"
    for word in unit.command:
        if isinstance(word, Credential):
            yield f"LoadCredential={word.name}:{escaped(str(word.path))}"
    yield f"WatchdogSec={WATCHDOG}"
    yield "Restart=on-failure"
    yield "RestartPreventExitStatus=2"
    yield "KillMode=mixed"
    stop = "infinity" if unit.grace == inf else ceil(unit.grace) + MARGIN
    yield f"TimeoutStopSec={stop}"
    # Two for each connection, since a server may connect on for it, and some to spare.
    yield f"LimitNOFILE={2 * unit.connections + 1024}"
    yield f"SyslogIdentifier={unit.name}"


def _rights(unit: Unit) -> Iterator[str]:
    yield "DynamicUser=yes"
    yield from _folders(unit)
    if not unit.activated and any(0 < each.port < 1024 for each in unit.addresses):
        yield "AmbientCapabilities=CAP_NET_BIND_SERVICE"
        yield "CapabilityBoundingSet=CAP_NET_BIND_SERVICE"
    else:
        yield "CapabilityBoundingSet="
        yield "PrivateUsers=yes"  # in which a capability would not hold for the network
    homes = any(path.is_relative_to(home) for path in unit.reads() for home in HOMES)
    yield f"ProtectHome={'read-only' if homes else 'yes'}"


def _folders(unit: Unit) -> Iterator[str]:
    made: dict[str, set[str]] = {}
    if unit.own_certificates:
        made["StateDirectory"] = {unit.name}
        yield f"Environment=NETKIT_CERTS=%S/{unit.name}/certs"
    for path in unit.paths:
        if found := _folder(path):
            made.setdefault(found[0], set()).add(found[1])
    if not unit.activated:
        for address in unit.addresses:
            if address.scheme == "unix" and not address.path.startswith("@"):
                directive, folder = _for_socket(address, unit.name)
                made.setdefault(directive, set()).add(folder)
    for directive, folders in made.items():
        yield f"{directive}={' '.join(sorted(map(escaped, folders)))}"


def _for_socket(address: Address, name: str) -> tuple[str, str]:
    found = _folder(Path(address.path))
    if found is None:
        raise UsageError(
            f"{address}: a service cannot write there; give unix:/run/{name}/{name}.sock, "
            "or let systemd open it (--socket)"
        )
    return found


def _folder(path: Path) -> tuple[str, str] | None:
    """What makes the folder in which a path is; None if systemd makes none there."""
    for top, directive in FOLDERS.items():
        if path.is_relative_to(top) and not path.is_relative_to("/run/user"):
            below = path.relative_to(top).parts
            if len(below) > 1 and " " not in below[0]:
                return directive, below[0]
    return None


def _is_one_interface(address: Address) -> bool:
    """Whether it is the address of one interface, other than loopback, or a name."""
    if address.scheme == "unix":
        return False
    if not is_ip(address.host):
        return address.host != "localhost"
    found = ipaddress.ip_address(address.host)
    return not (found.is_loopback or found.is_unspecified)
