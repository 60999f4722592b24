"""Garbage collection is put off while large messages are unpacked, and is as it was afterwards."""

import gc
import multiprocessing
import threading

import pytest

from pyelevator.codec.gc_pause import Pause
from pyelevator.codec.limits import Limits
from pyelevator.codec.packing import pack, unpack
from pyelevator.errors import MalformedMessage
from support.forking import forks_with_threads


@pytest.fixture(autouse=True)
def collector():
    gc.enable()
    yield
    gc.enable()


def test_the_collector_is_off_inside_and_on_again_outside():
    with Pause():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off():
    gc.disable()
    with Pause():
        pass
    assert not gc.isenabled()


def test_pauses_nest():
    pause = Pause()
    with pause:
        with pause:
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_the_collector_is_off_until_the_last_thread_has_left():
    pause, entered, leave = Pause(), threading.Event(), threading.Event()

    def stay():
        with pause:
            entered.set()
            leave.wait(60)

    thread = threading.Thread(target=stay)
    thread.start()
    assert entered.wait(60)
    with pause:
        pass
    assert not gc.isenabled()
    leave.set()
    thread.join()
    assert gc.isenabled()


@forks_with_threads
def test_a_child_that_was_forked_meanwhile_collects():
    pause, entered, leave = Pause(), threading.Event(), threading.Event()

    def stay():
        with pause:
            entered.set()
            leave.wait(60)

    thread = threading.Thread(target=stay)
    thread.start()
    assert entered.wait(60)
    process = multiprocessing.get_context("fork").Process(target=exit_by, args=(pause,))
    process.start()
    process.join(60)
    leave.set()
    thread.join()
    assert process.exitcode == 7


def exit_by(pause):
    first = gc.isenabled()
    with pause:
        second = gc.isenabled()
    raise SystemExit(7 if (first, second, gc.isenabled()) == (True, False, True) else 1)


@pytest.mark.parametrize("cut", [0, 1])
def test_a_large_message_leaves_the_collector_as_it_was(cut):
    frame = pack([b"x" * 100] * 10_000)
    if cut:
        with pytest.raises(MalformedMessage):
            unpack(frame[:-1], Limits())
    else:
        assert len(unpack(frame, Limits())) == 10_000
    assert gc.isenabled()
