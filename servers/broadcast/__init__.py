"""A feed for many listeners: numbered datagrams to groups, to networks and to subscribers.

Cores, which read no clock and no socket:

============= ================================================================
`sender`      payloads become datagrams: numbered, sealed, parity, heartbeats
`batch`       many of equal size in one buffer
`window`      what was sent and may be asked for again
`repair`      asks, and what is sent again
`subscribers` who is sent to where multicast does not reach
`bucket`      a rate and no more
============= ================================================================

Around them:

============= ================================================================
`sources`     where payloads come from
`routes`      the ways out, each a DatagramProtocol
`transmitter` payloads to the network, asks back
`settings`    what can be said of a broadcast
`reading`     settings as people write them
`places`      links on which a feed is announced
`announcing`  announcing it there, under a name of its own
`service`     what `netkit serve broadcast` runs
============= ================================================================
"""

from netkit.servers.broadcast.service import Broadcast

__all__ = ["Broadcast"]
