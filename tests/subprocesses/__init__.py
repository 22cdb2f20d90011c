"""The engine that runs commands: `netkit.subprocesses`."""
