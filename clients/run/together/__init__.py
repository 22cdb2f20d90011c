"""``netkit run --together`` and ``-f Procfile``: several long-running commands side by side.

In reading order; what is above `printer` knows no process and no loop:

============ =================================================================
settings     what one may ask of all this
words        a line becomes the words of a command, or a shell's
procfile     entries from a Procfile; variables from an env file
asked        settings from what stands on the command line
prefixes     the name before each line, aligned and coloured
verdict      the exit status of the whole
printer      what is printed, whole lines only, and no more than is read
readiness    when the next one may start
member       one command, started and started again, until it is over
session      one run: all of them, and their end
============ =================================================================

Try it: ``netkit run --together 'netkit serve echo' 'netkit serve daytime'``.
"""

from __future__ import annotations

from netkit.clients.run.together.asked import asked
from netkit.clients.run.together.session import run
from netkit.clients.run.together.settings import Settings

__all__ = ["Settings", "asked", "run"]
