import zmq

from pyelevator.transports.libzmq.listener import Spin


class Receiver:
    """Stands for a socket: whether a message is there at each try, and how it was asked."""

    def __init__(self, *, finds):
        self.finds = finds
        self.tries = 0

    def __call__(self, flags=0):
        if flags == zmq.NOBLOCK:
            self.tries += 1
            if not self.finds:
                raise zmq.Again
        return b"frame"


def test_a_message_that_is_there_is_found_at_the_first_try():
    receiver = Receiver(finds=True)
    assert Spin().first(receiver) == b"frame"
    assert receiver.tries == 1


def test_tries_in_vain_become_rare():
    spin, receiver = Spin(), Receiver(finds=False)
    for _ in range(Spin.CREDIT + 160):
        assert spin.first(receiver) == b"frame"
    assert receiver.tries == (Spin.CREDIT + 160 // Spin.PROBE) * Spin.TRIES


def test_a_probe_that_finds_brings_the_tries_back():
    spin = Spin()
    for _ in range(Spin.CREDIT):
        spin.first(Receiver(finds=False))
    for _ in range(Spin.PROBE):
        spin.first(Receiver(finds=True))
    receiver = Receiver(finds=False)
    spin.first(receiver)
    assert receiver.tries == Spin.TRIES
