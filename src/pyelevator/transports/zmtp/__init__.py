"""The ZMTP protocol without sockets and clocks: frames, handshakes, CURVE, and a decoder."""
