"""The ZMTP protocol without sockets and clocks (rfc.zeromq.org/spec/23): what DEALERs and ROUTERs need of it.

::

    both    signature: ff 00 00 00 00 00 00 00 01 7f     10 bytes, which an old peer reads as an empty identity
    both    revision, minor, mechanism, as-server, zeros 54 bytes more, once the peer's revision is known
    both    READY, a command with properties             after which messages go either way
    frame   flags (1: more follow, 2: long, 4: command), size (1 byte, or 8 if long), so many bytes

A :class:`~pyelevator.transports.zmtp.protocol.Protocol` is one side of one connection: bytes go in, messages and bytes
to send come out. Its beginning is a ``handshake``, of a client or a server, with a mechanism: NULL asks for no keys,
CURVE is in ``curvezmq``. Any input gives messages, or raises MalformedMessage, LimitExceeded or HandshakeRefused, and
never makes it hold much more than has come in.
"""
