"""Whether something is of this process, however it was forked, and what that costs."""

import sys

import pytest

from pyelevator import forks
from pyelevator.forks import Forks
from support.programs import run

WAYS = {"os.fork": "os.fork", "C": "ctypes.PyDLL(None).fork"}

PROGRAM = """
    import ctypes, os, sys
    from pyelevator.forks import FORKS, Forks, _Pid

    fork = {fork}
    for forks in (FORKS, Forks(_Pid())):
        before = forks.count
        assert forks.count == before
        pid = fork()
        if not pid:
            child = forks.count
            assert child != before and forks.count == child
            grandchild = fork()
            if not grandchild:
                os._exit(len({{before, child, forks.count}}))
            os._exit(os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]) * 10 + (forks.count == child))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), forks.count == before)
"""


@pytest.mark.parametrize("fork", WAYS.values(), ids=WAYS.keys())
def test_parent_child_and_grandchild_have_numbers_of_their_own(fork):
    ran = run(PROGRAM.format(fork=fork))
    assert (ran.code, ran.out, ran.err) == (0, "31 True\n31 True\n", "")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux wipes pages")
def test_on_linux_the_kernel_wipes_the_page():
    assert isinstance(forks._slot(), forks._WipedPage)


def test_where_the_system_agrees_to_any_advice_pids_are_compared(monkeypatch):
    monkeypatch.setattr(forks, "_is_advised", lambda page, advice: True)
    assert isinstance(forks._slot(), forks._Pid)


def test_where_the_system_wipes_no_page_pids_are_compared(monkeypatch):
    monkeypatch.setattr(forks, "_is_advised", lambda page, advice: False)
    assert isinstance(forks._slot(), forks._Pid)


def test_a_number_is_never_that_of_a_process_without_one():
    slot = [0]
    numbered = Forks(slot)
    seen = []
    for _ in range(600):
        slot[0] = 0
        seen.append(numbered.count)
    assert seen[:3] == [2, 3, 4]
    assert set(seen) == set(range(1, 256))


@pytest.mark.parametrize("fork", WAYS.values(), ids=WAYS.keys())
def test_ids_begin_at_other_numbers_in_parent_and_child(fork):
    program = f"""
    import ctypes, os, random
    from pyelevator.protocol import unguessable_ids

    random.seed(1)
    pid = {fork}()
    numbers = [next(unguessable_ids()) for _ in range(2)]
    os.write(1, f"{{numbers[0]}} {{numbers[1]}}\\n".encode())  # at once, or the two lines would mix
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
    """
    ran = run(program)
    assert (ran.code, ran.err) == (0, "")
    numbers = list(map(int, ran.out.split()))
    assert len(set(numbers)) == 4
    assert all(0 < number <= 1 << 32 for number in numbers)
