"""ROUTERs that a test plays itself, byte by byte or with a socket of libzmq."""

import socket
import threading
from contextlib import contextmanager, suppress

import zmq

GREETING = b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
READY = b"\x04\x29\x05READY\x0bSocket-Type\x00\x00\x00\x06ROUTER\x08Identity\x00\x00\x00\x00"
HANDSHAKE = 64 + len(READY)  # bytes from each side


@contextmanager
def played(*parts):
    """Each part plays one connection, ``part(peer)`` with a ``socket``, one after the other; gives the endpoint."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        failures = []

        def play():
            for part in parts:
                peer = listening.accept()[0]
                with peer:
                    try:
                        part(peer)
                    except Exception as error:  # noqa: BLE001 - shown where the test ends
                        failures.append(error)

        thread = threading.Thread(target=play, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        thread.join(30)
        assert failures == []
        assert not thread.is_alive()


def shake_hands(peer):
    peer.sendall(GREETING + READY)
    taken(peer, HANDSHAKE)


def taken(peer, count):
    """So many bytes from the other side."""
    data = b""
    while len(data) < count:
        more = peer.recv(count - len(data))
        assert more, f"it left after {data!r:.100}"
        data += more
    return data


@contextmanager
def echoing(url, prepare=lambda socket: None, delay=0.0):
    """The URL of a ROUTER of libzmq that sends every message back, ``delay`` seconds later."""
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.set(zmq.LINGER, 0)
    router.set(zmq.SNDHWM, 0)
    prepare(router)
    router.bind(url)
    over = threading.Event()

    def echo():
        while not over.is_set():
            if router.poll(20):
                frames = router.recv_multipart()
                over.wait(delay)
                with suppress(zmq.ZMQError):
                    router.send_multipart(frames)

    thread = threading.Thread(target=echo)
    thread.start()
    try:
        yield router.get_string(zmq.LAST_ENDPOINT).rstrip("\0")
    finally:
        over.set()
        thread.join()
        router.close()
        context.term()
