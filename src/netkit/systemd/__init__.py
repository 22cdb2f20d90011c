"""What netkit and systemd say to each other.

============== ===========================================================
`notify`       to the service manager: ready, reloading, stopping, alive
`activation`   from it: sockets that it opened
`unit`         a server as a service: what the units' text is made from
`socket_units` text of ``.socket`` units
`service_unit` text of the ``.service`` unit, with no more rights than needed
============== ===========================================================

The protocols are environment variables, descriptors and datagrams, so that
nothing of systemd need be installed; where the variables are absent nothing
happens.
"""
