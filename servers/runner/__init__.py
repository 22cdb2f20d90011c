"""Runs what an allow-list names, for callers who are known: NRPE's and websocketd's job.

Try it: ``netkit serve runner --allow list.toml``, then ``netkit exec localhost NAME`` or
``nc 127.0.0.1 8622`` and ``RUN NAME``. The list is explained in docs/runner.md, what goes
over the wire in docs/runner-protocol.md and `netkit.jobs`.

In reading order, from what may be to what is:

============== ====================================================================
`allowlist`    what may be run, how and by whom: a TOML file, checked
`parameters`   which values of a caller's may become part of a program's words
`templates`    words with places for values
`surroundings` environment, user, folder and limits of a command
`tables`       TOML, read strictly
`callers`      who calls, and where nobody would be known
`refusals`     what is refused, and in which words
`lists`        the list in force, replaced while the server runs
`admission`    who may start now, and who waits
`audit`        the log of who ran what, when, and how it ended
`tape`         output between a job and those who watch it
`job`          one job, from the order to its end
`runs`         all jobs
`house`        what connections share
`speaking`     what a session and its connection have of each other
`framed`       a session in frames
`channel`      one job of such a session
`typed`        a session in lines, for people
`connection`   the `asyncio.Protocol` that ties a session to a transport
`service`      the settings, and the lifespan
============== ====================================================================
"""

from __future__ import annotations

from netkit.servers.runner.service import Runner

__all__ = ["Runner"]
