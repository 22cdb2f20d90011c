"""The clients that come with netkit, one lesson each."""
