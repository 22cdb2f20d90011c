"""Jobs on other machines, over SSH: a way to start children for the engine.

What is decided, which knows no network, in reading order:

============== ============================================================
address        ``N/user@host:port``, one or a file of them
places         where files of a job are on both sides
settings       what one may ask of all this; what a job on a host has more
order          what a host's shell is told, and what it answers
============== ============================================================

What runs them:

============== ============================================================
login          a connection to a host, or one line on why there is none
connections    several connections of a host, with room for so many sessions
outflow        bytes to a descriptor, at its pace
channel        one session: a job's output, signals and end
child          a job there, until its files are back
freight        files to a host and back, over SFTP
hold           what is aboard a host: its jobs' files, and those that all jobs there need
host           one of them
spawner        all of them: which is next, and which is set aside
============== ============================================================

What imports asyncssh is imported when it is needed: the extra is ``ssh``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from netkit.errors import UsageError

if TYPE_CHECKING:
    from netkit.clients.run.hosts.settings import Machines
    from netkit.clients.run.hosts.spawner import Hosts


def hosts(machines: Machines, say: Callable[[str], None]) -> Hosts:
    """A spawner for these machines; `say` gets lines for a person. The caller closes it.

    Raises `UsageError` if asyncssh is not installed, or a file of ours is not there.
    """
    try:
        from netkit.clients.run.hosts.spawner import Hosts
    except ModuleNotFoundError as error:
        if error.name != "asyncssh":
            raise
        raise UsageError(
            "--host: asyncssh is not installed: pip install 'netkit-serve[ssh]'"
        ) from None
    machines.check()
    return Hosts(machines, say)
