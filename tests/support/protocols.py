"""Connections of ZMTP without sockets, once their handshakes are over."""

from pyelevator.transports.zmtp.frames import MAX_MESSAGE
from pyelevator.transports.zmtp.handshake import MINOR, REVISION, SIGNATURE
from pyelevator.transports.zmtp.mechanism import NULL, SERVERS, FrameCipher, NullMechanism, encode_ready
from pyelevator.transports.zmtp.protocol import Protocol, Role

SERVER_HANDSHAKE = SIGNATURE + bytes((REVISION, MINOR)) + NULL + bytes(32) + encode_ready(b"ROUTER")
"""All that a server without keys sends before its messages."""


class _WithCipher(NullMechanism):
    def __init__(self, cipher: FrameCipher | None) -> None:
        super().__init__(b"DEALER", SERVERS)
        self.cipher = cipher  # type: ignore[misc,assignment]


def established(max_message: int = MAX_MESSAGE, cipher: FrameCipher | None = None) -> Protocol:
    """A client's side of a connection to a server of ZMTP 3.1."""
    protocol = Protocol(Role.CLIENT, _WithCipher(cipher), max_message)
    protocol.receive_data(SERVER_HANDSHAKE)
    protocol.data_to_send()
    assert protocol.is_established
    return protocol
