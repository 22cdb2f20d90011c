"""A connection to a host, or one line on why there is none.

Who a host is, is known by its key alone: from known_hosts, ours and the system's, or what
ssh_config names in their place. A key that is not there is never trusted, whatever
StrictHostKeyChecking says. Nothing is asked at the terminal: keys without a passphrase, those
that the agent has, and GSSAPI are what gets us in.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh

from netkit.clients.run.hosts.address import Address
from netkit.clients.run.hosts.settings import Login

PORT = 22

PATIENCE = 30.0
"""Seconds for a connection to be made, if ssh_config has no ConnectTimeout."""

ALIVE = 15.0
"""Seconds from one sign of life of a silent host to the next, if it has no ServerAliveInterval."""
MISSED = 3
"""Signs of life that may be missed."""

KNOWN = (
    "~/.ssh/known_hosts",
    "~/.ssh/known_hosts2",
    "/etc/ssh/ssh_known_hosts",
    "/etc/ssh/ssh_known_hosts2",
)
"""ssh_config(5): the defaults of UserKnownHostsFile and GlobalKnownHostsFile."""


class HostError(Exception):
    """A host cannot be used: one line on why, without its name."""


class Client(asyncssh.SSHClient):
    """What asyncssh tells of a connection."""

    def __init__(self, lost: Callable[[str], None]) -> None:
        self._lost = lost
        self.refused: tuple[str, str, int, asyncssh.SSHKey] | None = None
        """Host, address, port and key, if that is not known."""

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        """See asyncssh.SSHClient: a key that is in no file."""
        self.refused = host, addr, port, key
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncssh.SSHClient."""
        self._lost(_reason(exc) if exc else "closed by the host")


async def connect(
    address: Address, login: Login, lost: Callable[[str], None]
) -> asyncssh.SSHClientConnection:
    """Log in; `lost` gets one line when the connection ends. The caller closes it.

    Raises `HostError`.
    """
    client = Client(lost)
    known: list[str] = []
    try:
        options = await asyncssh.SSHClientConnectionOptions.construct(**_asked(address, login))
        known = _known(options)
        options = await asyncssh.SSHClientConnectionOptions.construct(
            options,
            known_hosts=known or b"",
            client_factory=lambda: client,
            connect_timeout=options.connect_timeout or PATIENCE,
            keepalive_interval=options.keepalive_interval or ALIVE,
            keepalive_count_max=options.keepalive_count_max or MISSED,
            compression_algs=options.config.get_compression_algs() or ["none"],
        )
        # Host and port once more: without them asyncssh would take its defaults.
        return await asyncssh.connect(**_target(address), options=options)
    except asyncssh.HostKeyNotVerifiable as error:
        raise HostError(_unknown(client, known, error)) from None
    except asyncssh.PermissionDenied:
        raise HostError(_denied(options.username, login)) from None
    except TimeoutError:
        raise HostError("no answer in time") from None
    except (OSError, asyncssh.Error, ValueError) as error:
        raise HostError(_reason(error)) from None


def _target(address: Address) -> dict[str, Any]:
    return {"host": address.name} | ({"port": address.port} if address.port else {})


def _asked(address: Address, login: Login) -> dict[str, Any]:
    asked: dict[str, Any] = _target(address)
    asked |= {"password_auth": False, "kbdint_auth": False, "login_timeout": 0}
    if address.user:
        asked["username"] = address.user
    if login.config:
        asked["config"] = [str(login.config)]
    if login.identities:
        asked["client_keys"] = [str(path) for path in login.identities]
        asked["ignore_encrypted"] = True  # the agent may have it
    return asked


def _known(options: asyncssh.SSHClientConnectionOptions) -> list[str]:
    """The files that are there. Raises `HostError` rather than trust every key."""
    named = options.known_hosts
    if named is None:
        raise HostError("ssh_config has no UserKnownHostsFile for it, so its key is not checked")
    names = named if isinstance(named, list) and named else KNOWN
    paths = [Path(str(name)).expanduser() for name in names]
    return [str(path) for path in paths if os.access(path, os.R_OK)]


def _unknown(client: Client, known: list[str], error: asyncssh.HostKeyNotVerifiable) -> str:
    if client.refused is None:  # revoked, or a certificate
        return f"its key is not to be trusted: {error.reason}"
    host, addr, port, key = client.refused
    standard = port == PORT
    name = host if standard else f"[{host}]:{port}"
    shown = f"{key.get_algorithm()} {key.get_fingerprint()}"
    earlier = asyncssh.match_known_hosts(known, host, addr, None if standard else port)[0]
    if known and earlier:
        return (
            f"its key ({shown}) is not the one in {known[0]}: somebody may be in between; if it "
            f"is to be another, remove the old one: ssh-keygen -R {shlex.quote(name)}"
        )
    port_ = "" if standard else f"-p {port} "
    return (
        f"its key ({shown}) is unknown; compare it with the host's own, then add it: "
        f"ssh-keyscan {port_}{shlex.quote(host)} >> ~/.ssh/known_hosts"
    )


def _denied(user: str, login: Login) -> str:
    if login.identities:
        keys = ", ".join(map(str, login.identities))
        return f"{user} cannot log in with {keys} or what the agent has (ssh-add, ssh-copy-id)"
    return f"{user} cannot log in with the usual keys or the agent's; give --identity FILE"


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError):
        # asyncio has words of its own, with the address once more; a resolver's are below 0.
        number = error.errno or 0
        text = os.strerror(number) if number > 0 else error.strerror or str(error)
    else:
        text = getattr(error, "reason", None) or str(error)
    return " ".join(text.split()) or type(error).__name__
