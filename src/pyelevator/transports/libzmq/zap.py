"""ZAP (RFC 27): libzmq asks at every handshake who may connect, and this lets everybody in who speaks ZMTP 3.

Where nobody is asked, libzmq takes anything for ZMTP 1, text with a message in it, too.
"""

import threading
from typing import Final

import zmq

_ENDPOINT: Final = "inproc://zeromq.zap.01"
_ADMITTED: Final = (b"200", b"OK", b"anybody", b"")
"""Status, its text, user id, metadata."""


def admit_all(context: "zmq.Context[zmq.Socket[bytes]]", socket: "zmq.Socket[bytes]") -> None:
    """Has a socket of the context, before it is bound, take no older protocol, and everybody else.

    A thread answers libzmq until the context ends; while nobody answers, nobody gets in.
    """
    socket.set(zmq.ZAP_ENFORCE_DOMAIN, 1)
    socket.set(zmq.ZAP_DOMAIN, b"open")
    asked: zmq.Socket[bytes] = context.socket(zmq.REP)
    asked.set(zmq.LINGER, 0)
    asked.bind(_ENDPOINT)
    threading.Thread(target=_serve, args=(asked,), name="elevator-zap", daemon=True).start()


def _serve(asked: "zmq.Socket[bytes]") -> None:
    with asked as socket:
        while True:
            try:
                version, request_id, *_ = socket.recv_multipart()
                socket.send_multipart([version, request_id, *_ADMITTED])
            except zmq.ContextTerminated:
                return
