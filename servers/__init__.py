"""The servers that come with netkit, one lesson each."""
