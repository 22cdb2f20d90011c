"""Scanners of TLS servers, run against netkit's: what they find with its defaults.

========== ==============================================================
`finding`  one thing that a scanner says, and those that a private CA explains
`testssl`  testssl.sh of Debian: sections as one likes, its JSON read
`sslyze`   SSLyze of PyPI: its plugins, and Mozilla's "intermediate" profile
`targets`  what is scanned: three of netkit's servers, a plain context, nginx
`all`      every scanner against every target: ``python -m tests.scanners.all``
========== ==============================================================

Everything stays on loopback: no name is looked up, and no CA is asked.
"""
