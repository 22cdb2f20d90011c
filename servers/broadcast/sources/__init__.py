"""Where a broadcaster's payloads come from.

A source is an async generator of batches: payloads that are there at the same time and go
out together. It is pulled: while the network or the rate holds the sender up, nobody asks,
and the source waits. A source that ends, ends the broadcast.

=============  ==================================================================
`message`      one text, filled in anew each time
`framing`      lines or records out of a stream of bytes
`stdin`        standard input
`following`    a file, as it grows
`command`      what a command prints
`ingest`       what other programs send over TCP or a Unix socket
`replay`       what `netkit listen --record` has written, at its pace
=============  ==================================================================
"""
