"""ZAP (RFC 27): libzmq asks at every handshake which peers may connect; this admits each that speaks ZMTP 3.

Without an answer of ZAP, libzmq takes any input for ZMTP 1, including text that contains a message.
"""

import threading
from typing import Final

import zmq

_ENDPOINT: Final = "inproc://zeromq.zap.01"
_ADMITTED: Final = (b"200", b"OK", b"anybody", b"")
"""Status, its text, user id, metadata."""


def admit_all(context: "zmq.Context[zmq.Socket[bytes]]", socket: "zmq.Socket[bytes]") -> None:
    """Have a socket refuse protocols older than ZMTP 3, and admit every other peer.

    A thread answers libzmq until the context ends; without its answers no peer is admitted.

    Args:
        context: of the socket.
        socket: one that is not bound yet.
    """
    socket.set(zmq.ZAP_ENFORCE_DOMAIN, 1)
    socket.set(zmq.ZAP_DOMAIN, b"open")
    requests: zmq.Socket[bytes] = context.socket(zmq.REP)
    requests.set(zmq.LINGER, 0)
    requests.bind(_ENDPOINT)
    threading.Thread(target=_serve, args=(requests,), name="elevator-zap", daemon=True).start()


def _serve(requests: "zmq.Socket[bytes]") -> None:
    with requests as socket:
        while True:
            try:
                version, request_id, *_ = socket.recv_multipart()
                socket.send_multipart([version, request_id, *_ADMITTED])
            except zmq.ContextTerminated:
                return
