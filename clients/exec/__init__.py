"""``netkit exec``: run what a ``netkit serve runner`` allows, as if it ran here.

In reading order:

========== ===================================================================
`settings` what was asked for
`link`     frames over a connection, and what may be wrong with it
`codes`    how a job ended, as an exit status and in words
`keyboard` a terminal that hands on every key, but for ``~.``
`signals`  those that we get, passed on
`job`      one job: its streams here, its credit, its end
`session`  one run of the command: connect, do what was asked, close
========== ===================================================================

What goes over the wire is in docs/runner-protocol.md. Try it:
``netkit exec localhost NAME`` against ``netkit serve runner --allow FILE``.
"""
