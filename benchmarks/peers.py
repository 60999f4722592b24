"""What we measure ourselves against: a bare pyzmq echo in a process of its own, and plyvel in this one."""

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

import zmq

SPAWN = multiprocessing.get_context("spawn")


def echo_server(ready: Connection) -> None:
    """A ROUTER that answers every request with two frames, of the length of our reply."""
    socket = zmq.Context.instance().socket(zmq.ROUTER)
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    ready.send(port)
    header, content = b"h" * 60, b"c" * 20
    while True:
        identity, _request = socket.recv_multipart()
        socket.send_multipart([identity, header, content])


@contextmanager
def echo() -> Iterator["zmq.Socket[bytes]"]:
    """A DEALER socket that is connected to an echo server."""
    here, there = SPAWN.Pipe()
    process = SPAWN.Process(target=echo_server, args=(there,), daemon=True)
    process.start()
    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.set(zmq.LINGER, 0)
    socket.connect(f"tcp://127.0.0.1:{here.recv()}")
    try:
        yield socket
    finally:
        socket.close()
        process.kill()
        process.join()
