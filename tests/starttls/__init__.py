"""Line protocols that begin in the clear and turn to TLS."""
