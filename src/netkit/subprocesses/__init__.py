"""Commands as child processes: one engine for all that netkit runs.

In reading order:

===========  ================================================================
`command`    what is to run, and in which surroundings
`events`     what happens to a job
`job`        one job, from its start to its end
`runner`     many jobs, so many at a time, as one stream of events
`retries`    whether one that failed is started once more, and when
`merging`    events of many jobs, no faster than they are taken
`lines`      chunks become blocks of whole lines
`wiring`     the descriptors of a job: its three, and our ends of them
`pipes`      our ends, read and written as they become ready
`children`   what a started child is, whoever started it
`plain`      starting them as asyncio does it: read this one first
`helpers`    starting them from small processes kept for that
`spawner`    the program of such a process
`shielding`  waiting for what must end before a cancellation may go on
===========  ================================================================
"""
