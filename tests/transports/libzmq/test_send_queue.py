"""The queues of answers over a real ROUTER: which peers are blocked, and that each is noticed."""

import pytest
import zmq

from pyelevator.transports.libzmq.send_queue import HIGH_WATER, ZERO_COPY_BYTES, ZmqSendQueues

FRAMES = [b"header", b"answer"]
LARGE_FRAMES = [b"header", bytes(ZERO_COPY_BYTES)]


@pytest.fixture
def context():
    with zmq.Context() as context:
        yield context


@pytest.fixture
def router(context):
    with context.socket(zmq.ROUTER) as router:
        router.set(zmq.LINGER, 0)
        yield router


@pytest.fixture
def queues(router):
    return ZmqSendQueues(router, 1 << 20)


@pytest.fixture
def peer(context, router, queues):
    """A peer that has said its name, and takes next to nothing ahead."""
    port = router.bind_to_random_port("tcp://127.0.0.1")
    with context.socket(zmq.DEALER) as peer:
        peer.set(zmq.LINGER, 0)
        peer.set(zmq.RCVHWM, 1)
        peer.set(zmq.RCVTIMEO, 30_000)
        peer.set(zmq.IDENTITY, b"peer")
        peer.connect(f"tcp://127.0.0.1:{port}")
        peer.send(b"")
        router.recv_multipart()
        yield peer


def fill(queues, frames):
    """Sends until the peer is blocked; how many messages that took."""
    sent = 1
    while not queues.send(b"peer", frames):
        sent += 1
    return sent


def take(peer, count):
    for _ in range(count):
        peer.recv_multipart()


def test_small_answers_to_a_client_that_reads_leave_nothing_pending(queues, peer):
    assert not queues.send(b"peer", FRAMES)
    assert (queues.peers, queues.unsent_bytes) == ({}, 0)


@pytest.mark.parametrize("frames", [FRAMES, LARGE_FRAMES])
def test_a_peer_that_does_not_read_is_blocked_until_a_flush_finds_it_free(queues, peer, frames):
    sent = fill(queues, frames)
    assert b"peer" in queues.peers
    assert queues.is_blocked(b"peer")
    for _ in range(sent):
        queues.flush()
        peer.recv_multipart()
    while queues.peers:
        queues.flush()
    assert not queues.is_blocked(b"peer")
    assert queues.unsent_bytes == 0


def test_a_peer_freed_by_a_later_answer_is_still_shown_to_the_next_flush(queues, peer):
    """Else who waits for the flush that finds it free would wait for ever."""
    sent = fill(queues, FRAMES)
    take(peer, sent - 1)
    while queues.send(b"peer", FRAMES):
        peer.recv_multipart()
    assert not queues.is_blocked(b"peer")
    assert b"peer" in queues.peers
    queues.flush()
    assert b"peer" not in queues.peers


def test_messages_to_a_peer_that_left_are_dropped_and_the_flush_sees_it(queues, peer):
    fill(queues, FRAMES)
    peer.close()
    while queues.send(b"peer", FRAMES):
        pass
    assert queues.unsent_bytes == 0
    assert b"peer" in queues.peers
    queues.flush()
    assert queues.peers == {}


def test_libzmq_queues_no_more_small_answers_than_its_high_water_mark(queues, peer):
    assert fill(queues, [b"header", bytes(ZERO_COPY_BYTES - 1)]) > HIGH_WATER
    assert queues.unsent_bytes == 6 + ZERO_COPY_BYTES - 1
