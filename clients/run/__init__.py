"""``netkit run``: a command for each argument, so many at a time, as GNU parallel does it.

What is decided, which knows no process, clock or loop, in reading order:

============== ============================================================
words          the words of a command line, split at ``:::`` and its kin
sources        values from words, files and standard input; their columns
rows           several sources become one: crossed, or side by side
template       a command with ``{}`` becomes the words of one
halt           when it is over early, and the exit status of the whole
quantities     numbers with units, as people write them
settings       what one may ask of all this
flags          the same as it stands on the command line
asked          settings from flags
planning       all of the above, together: jobs, one after the other
============== ============================================================

What runs them:

============== ============================================================
ahead          rows, read in a thread, a little ahead
gates          what the next job waits for: a pause, load, memory
slots          numbers of the slots that jobs run in
commands       rows become commands for the engine, as slots become free
output         what becomes of jobs' output
joblog         a line for each job that has ended, and resuming by it
progress       how far it is
session        one run
together       the other way: several commands side by side, or a Procfile
============== ============================================================

The engine is `netkit.subprocesses`. Try it: ``netkit run -j 2 wc -c {} ::: *.md``.
"""
