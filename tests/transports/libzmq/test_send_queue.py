"""The outbox of answers over a real ROUTER: who is blocked, and that nobody stays so unseen."""

import pytest
import zmq

from pyelevator.transports.libzmq.send_queue import HIGH_WATER, LARGE, Outbox

FRAMES = [b"header", b"answer"]
LARGE_FRAMES = [b"header", bytes(LARGE)]


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
def outbox(router):
    return Outbox(router, 1 << 20)


@pytest.fixture
def peer(context, router, outbox):
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


def fill(outbox, frames):
    """Sends until the peer is blocked; how many messages that took."""
    sent = 1
    while not outbox.send(b"peer", frames):
        sent += 1
    return sent


def take(peer, count):
    for _ in range(count):
        peer.recv_multipart()


def test_small_answers_to_one_who_reads_leave_nothing_to_look_after(outbox, peer):
    assert not outbox.send(b"peer", FRAMES)
    assert (outbox.peers, outbox.unsent) == ({}, 0)


@pytest.mark.parametrize("frames", [FRAMES, LARGE_FRAMES])
def test_one_who_does_not_read_is_blocked_and_one_who_has_read_is_found_free_by_the_next_flush(outbox, peer, frames):
    sent = fill(outbox, frames)
    assert b"peer" in outbox.peers
    assert outbox.blocked(b"peer")
    for _ in range(sent):
        outbox.flush()
        peer.recv_multipart()
    while outbox.peers:
        outbox.flush()
    assert not outbox.blocked(b"peer")
    assert outbox.unsent == 0


def test_one_whom_a_later_answer_finds_free_is_still_shown_to_the_next_flush(outbox, peer):
    """Else who waits for the flush that finds it free would wait for ever."""
    sent = fill(outbox, FRAMES)
    take(peer, sent - 1)
    while outbox.send(b"peer", FRAMES):
        peer.recv_multipart()
    assert not outbox.blocked(b"peer")
    assert b"peer" in outbox.peers
    outbox.flush()
    assert b"peer" not in outbox.peers


def test_what_waits_for_one_who_has_left_is_dropped_and_the_next_flush_is_shown_that_too(outbox, peer):
    fill(outbox, FRAMES)
    peer.close()
    while outbox.send(b"peer", FRAMES):
        pass
    assert outbox.unsent == 0
    assert b"peer" in outbox.peers
    outbox.flush()
    assert outbox.peers == {}


def test_libzmq_holds_no_more_small_answers_than_the_high_water_mark_and_what_buffers_take(outbox, peer):
    assert fill(outbox, [b"header", bytes(LARGE - 1)]) > HIGH_WATER
    assert outbox.unsent == 6 + LARGE - 1
