"""How a command runner and its clients talk: docs/runner-protocol.md in code, without I/O.

In reading order:

========== ==============================================================
`frames`   bytes become frames, whatever a peer sends, and frames bytes
`messages` what is in the frames that are not plain data
`credit`   how much each side may send before the other has taken it
========== ==============================================================
"""
