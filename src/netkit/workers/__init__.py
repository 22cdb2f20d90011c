"""Several processes behind the same addresses.

A supervisor binds one set of sockets for each worker (SO_REUSEPORT, so that the
kernel spreads connections over them), keeps them open for good, and starts
workers that inherit them: the same command line again, in a new process. A
worker that ends or is replaced leaves its queue of newcomers to the next one on
the same sockets, so none of them is refused or reset.

=============  ==================================================================
`sockets`      sets of sockets, one for each worker
`inheritance`  what a worker gets from its supervisor, through its environment
`channel`      what both say to each other, a line of JSON at a time
`member`       the worker's side: serve, say so, end when told
`snapshot`     what a worker does that no longer answers
`child`        the supervisor's view of one worker
`health`       what is held against a worker
`restarts`     how long to wait before another try
`places`       a worker's place in the crew, and which sockets go with it
`departures`   workers on their way out
`crew`         which worker serves which sockets: start, replace, scale
`reloading`    a reload at each change of a source file, for development
`supervisor`   the process: signals, its end, its exit status
=============  ==================================================================
"""
