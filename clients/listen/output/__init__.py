"""Where messages go: each module makes one form of them, and two hand it on.

==========  =======================================================================
`text`      the payload and a line's end
`json`      one object for each message, with all that is known of it
`record`    lines that `netkit serve broadcast --replay` sends again
`pcap`      datagrams as they came, for Wireshark and its kin
`outlet`    bytes from the loop to what is slow: bounded, what does not fit is counted
`exec`      a command for each message
`outputs`   all of them that a listener has, together
==========  =======================================================================

UDP cannot be slowed down. So nothing here holds up the loop, and what a slow reader leaves
no room for is dropped and counted, apart from what the network lost.
"""
