"""What an operator asks of a server that runs, over HTTP on an address of its own.

========== ==================================================================
`source`   what is asked, and the answers of one server
`crew`     the answers of all workers
`metrics`  figures in Prometheus's text format
`http`     the paths, and the listener
========== ==================================================================

Needs the extra: ``pip install netkit-serve[admin]`` (aiohttp, prometheus-client).
"""
