"""Ctrl-C in the middle of a call leaves the client usable, and its next answer is its own."""

import signal

import pytest

from pyelevator.application import Application
from pyelevator.testing.servers import serve
from support.programs import WAIT_TIMEOUT, finish, run, start
from support.puppets import silent_listener
from torture.unruly import Behaviour, unruly

HEAD = """
    import os, random, signal, sys, threading, time
    from pyelevator import Elevator, TransportError
"""

STORM = """
    dice = random.Random(5)
    interrupted = [0]

    signal.signal(signal.SIGALRM, signal.default_int_handler)

    def disturbed(call):
        try:
            signal.setitimer(signal.ITIMER_REAL, dice.uniform(1e-6, 0.001))
            call()
            for _ in range(100):  # a signal just before a long sleep would only be seen after it
                time.sleep(0.001)
        except KeyboardInterrupt:
            interrupted[0] += 1

    with Elevator(endpoint=sys.argv[1], dialect=sys.argv[2], max_connections=1, timeout=30) as E:
        for number in range(10):
            E.Put(f"key {number}", f"value {number}")
        calls = [
            lambda n: E.Get(f"key {n}"),
            lambda n: E.MGet([f"key {n}"]),
            lambda n: E.Range(f"key {n}", f"key {n}"),
            lambda n: E.Put(f"key {n}", f"value {n}"),
        ]
        for _ in range(int(sys.argv[3])):
            disturbed(lambda: [dice.choice(calls)(dice.randrange(10)) for _ in range(3)])
            number = dice.randrange(10)
            assert E.Get(f"key {number}") == f"value {number}"
            assert E.MGet([f"key {number}"]) == [f"value {number}"]
            assert E.Range(f"key {number}", f"key {number}") == [[f"key {number}", f"value {number}"]]
        print(interrupted[0])
"""


def storm(endpoint, dialect="classic"):
    """A few interrupts may be lost: Python cannot raise them where they come while an object is taken down."""
    ran = run(HEAD + STORM, endpoint, dialect, 300, options=("-X", "faulthandler"), timeout=WAIT_TIMEOUT)
    assert ran.code == 0, ran.err
    assert int(ran.out) > 250


def test_the_only_connection_answers_rightly_after_many_interrupts():
    with serve(Application.in_memory()) as server:
        storm(server.urls[0].partition("://")[2])


@pytest.mark.parametrize("dialect", ["classic", "flat"])
def test_the_same_with_a_server_that_echoes_no_ids(dialect):
    """The flat one answers MGET and RANGE twice, and the second answer must not be taken for another call's."""
    with unruly(Behaviour(dialect, echoes=False, latest=0.0)) as server:
        storm(server.url.partition("://")[2], dialect)


WAITING = """
    E = Elevator(endpoint=sys.argv[1], auto_connect=False)
    try:
        print("calling", flush=True)
        E.connect(timeout=3600)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    E.disconnect()
    with Elevator(transport="tcp", endpoint=sys.argv[2]) as E:
        print(E.ping())
"""


def test_an_interrupt_ends_a_wait_at_once():
    with serve(Application.in_memory()) as server, silent_listener() as silent:
        process = start(HEAD + WAITING, silent, server.urls[0].partition("://")[2], options=())
        assert process.stdout.readline() == "calling\n"
        process.send_signal(signal.SIGINT)
        ran = finish(process, timeout=30)
    assert (ran.code, ran.out, ran.err) == (0, "interrupted\nPONG\n", "")


def test_an_interrupt_while_waiting_for_a_connection_takes_none_away():
    with serve(Application.in_memory()) as server:
        program = """
    with Elevator(endpoint=sys.argv[1], max_connections=1, timeout=30) as E:
        link = E._session._pool.acquire(E._deadline(None))
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            E.ping()
        except KeyboardInterrupt:
            print("interrupted")
        E._session._pool.release(link)
        print(E.ping(), len(E._session._pool.connections()))
        """
        ran = run(HEAD + program, server.urls[0].partition("://")[2], options=())
    assert (ran.code, ran.out, ran.err) == (0, "interrupted\nPONG 1\n", "")
