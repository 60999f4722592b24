"""SIGTERM to a server at work: it answers what it took, closes the databases, and ends with 0 in bounded time."""

import threading

import pytest
import zmq

from pyelevator import Elevator, ElevatorError
from pyelevator.codec import ClassicCodec
from pyelevator.commands import Get, Put
from pyelevator.messages import Request
from pyelevator.testing.servers import ServerProcess
from support.eventually import eventually

CODEC = ClassicCodec()


@pytest.fixture
def server(tmp_path):
    with ServerProcess(tmp_path) as server:
        yield server


def address(server):
    return server.urls[0].partition("://")[2]


@pytest.fixture
def dealer(server):
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.set(zmq.LINGER, 0)
        socket.set(zmq.SNDHWM, 0)
        socket.set(zmq.RCVHWM, 0)  # what is left in the kernel is gone if the server ends with requests unread there
        socket.set(zmq.RCVTIMEO, 20_000)
        socket.connect(server.urls[0])
        yield socket


def stops_well(server):
    assert server.stop() == 0
    assert "gave up" not in server.output  # which it says when its grace period is over
    assert "Traceback" not in server.output


def test_what_writers_were_told_is_there_and_no_write_is_half_done(server):
    reported = []

    def write(number, client):
        with client:
            for version in range(1_000_000):
                try:
                    with client.WriteBatch() as batch:
                        for part in "ab":
                            batch.Put(f"{number}/{version}/{part}", "v")
                except ElevatorError:
                    return
                reported.append((number, version))

    clients = [Elevator(endpoint=address(server), timeout=20) for _ in range(4)]  # all are connected before it stops
    threads = [threading.Thread(target=write, args=each) for each in enumerate(clients)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(reported) >= 200 or not any(thread.is_alive() for thread in threads))
    stops_well(server)
    for thread in threads:
        thread.join()
    assert len(reported) >= 200
    server.restart()
    with Elevator(endpoint=address(server), timeout=20) as client:
        there = set(client.Range(include_value=False))
    assert {f"{number}/{version}/{part}" for number, version in reported for part in "ab"} <= there
    assert all(key[:-1] + other in there for key in there for other in "ab")


def test_everything_that_was_taken_is_answered(server, dealer):
    with Elevator(endpoint=address(server)) as client:
        uid = client.db_uid
    for number in range(3000):
        dealer.send_multipart(CODEC.encode_request(Request(Put(f"{number:04}", "v"), uid, number)))
    first = [CODEC.decode_response(dealer.recv_multipart(), Request(Put("k", "v"))).id for _ in range(100)]
    stops_well(server)
    answered = [*first, *rest(dealer)]
    server.restart()
    with Elevator(endpoint=address(server), timeout=20) as client:
        there = {int(key) for key in client.Range(include_value=False)}
    assert set(answered) == there  # none was executed that was not answered, and none answered that was not executed
    assert len(answered) == len(set(answered))


def rest(dealer):
    """What has come of a server that has ended; the last of it may need a moment through the system."""
    dealer.set(zmq.RCVTIMEO, 3000)
    while True:
        try:
            yield CODEC.decode_response(dealer.recv_multipart(), Request(Put("k", "v"))).id
        except zmq.Again:
            return


def test_a_client_that_does_not_read_does_not_hold_it_up(server, dealer):
    dealer.set(zmq.RCVHWM, 1)
    with Elevator(endpoint=address(server)) as client:
        client.Put("large", "v" * (1 << 20))
        for number in range(500):
            dealer.send_multipart(CODEC.encode_request(Request(Get("large"), client.db_uid, number)))
        while client.ping() and not dealer.poll(100):
            pass
    stops_well(server)


def test_requests_of_the_time_after_are_not_executed_by_its_successor(server):
    with Elevator(endpoint=address(server), timeout=20) as client:
        client.Put("k", "before")
        stops_well(server)
        for number in range(5):
            with pytest.raises(ElevatorError):
                client.Put("k", f"{number}", timeout=0.3)
        server.restart()
        assert client.Get("k") == "before"
