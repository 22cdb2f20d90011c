"""The runtime under fault: real processes, real sockets, on both loops."""
