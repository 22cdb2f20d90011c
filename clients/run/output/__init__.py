"""What becomes of jobs' output.

==========  ========================================================================
`form`      what was asked
`work`      what is known of a job before it starts
`outputs`   all of it, as a session has it
`grouped`   each job's output in one piece, at its end; or in the order of the jobs
`live`      lines as they come, whole
`json`      one object for each event
`results`   files of each job's own, in a tree
`tree`      the names in that tree
`held`      files without a name, into which jobs write
`log`       what is written down when output has been handed on
`writer`    from the loop to a thread: in order, bounded
`screen`    the thread's side: standard output and error, and a line of progress
`tagging`   something before each line
`copying`   from a file to a descriptor, by the kernel where that can be
`failures`  what ends a run
==========  ========================================================================
"""
