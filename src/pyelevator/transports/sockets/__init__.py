"""ZMTP over the sockets of the system: what runs the protocol of ``transports.zmtp``."""
