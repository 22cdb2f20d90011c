"""TLS itself: contexts, policy, certificates that change, and the transport."""
