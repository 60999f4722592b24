import zmq

from pyelevator.transports.libzmq.listener import AdaptiveSpin


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
    assert AdaptiveSpin().receive(receiver) == b"frame"
    assert receiver.tries == 1


def test_tries_in_vain_become_rare():
    spin, receiver = AdaptiveSpin(), Receiver(finds=False)
    for _ in range(AdaptiveSpin.CREDIT + 160):
        assert spin.receive(receiver) == b"frame"
    assert receiver.tries == (AdaptiveSpin.CREDIT + 160 // AdaptiveSpin.PROBE) * AdaptiveSpin.TRIES


def test_a_probe_that_finds_brings_the_tries_back():
    spin = AdaptiveSpin()
    for _ in range(AdaptiveSpin.CREDIT):
        spin.receive(Receiver(finds=False))
    for _ in range(AdaptiveSpin.PROBE):
        spin.receive(Receiver(finds=True))
    receiver = Receiver(finds=False)
    spin.receive(receiver)
    assert receiver.tries == AdaptiveSpin.TRIES
