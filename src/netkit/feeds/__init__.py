"""Feeds: numbered datagrams from one sender to many listeners, and what both sides share.

No module here reads a clock, sends or waits, but `sockets`, `offload`, `reader` and `mdns`.

===========  ====================================================================
`format`     the datagram: a header of 32 bytes, then what is sent
`ranges`     sequence numbers as ranges: what is missing, what is asked for
`sealing`    who sent it: Ed25519 or HMAC-SHA-256 behind the payload
`keys`       the files that keep such keys
`parity`     more datagrams, from which a lost one can be computed
`cookies`    a subscriber proves its address before anything is sent there
`interfaces` this machine's, by name, address or index
`resolving`  what an address means here, and which way leads there
`sockets`    multicast, broadcast and their options
`offload`    many datagrams in one system call, to send (UDP_SEGMENT)
`reader`     runs of datagrams, read as fast as they come (UDP_GRO)
`slots`      many datagrams in one system call, to receive (recvmmsg)
`discovery`  what is announced of a feed: its name, its TXT record
`mdns`       announcing and browsing on one link, and on no other
===========  ====================================================================

The format is specified in docs/feed-format.md.
"""
