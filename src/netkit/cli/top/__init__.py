"""``netkit top``: workers and connections of a server that runs, as they are now.

========== =======================================================
`command`  the flags; a snapshot or the live view
`sample`   what a server says at one time, asked over HTTP
`rates`    two samples become figures per second
`columns`  what is shown of a worker and of a connection, and how
`rows`     which rows of a table: filtered, sorted, the first few
`plain`    a snapshot as text and as JSON
`view`     the live view
`dialogs`  what the view asks, and its help
========== =======================================================

Only `view` and `dialogs` need the extra: ``pip install netkit-serve[top]`` (textual).
"""
