"""The end of a process, and of clients that are not closed: nothing hangs, nothing leaks, and one warning says what to do."""

import pytest

from pyelevator.application import Application
from pyelevator.testing.servers import ServerProcess, serve
from support.forking import FORKING
from support.programs import run
from support.puppets import silent_listener, unused_endpoint

LOUD = ("-X", "faulthandler", "-W", "always")
HEAD = """
    import os, sys, threading
    from pyelevator import Elevator, RequestTimeout, TransportError, WriteBatch
    url = sys.argv[1]
"""


@pytest.fixture
def url():
    with serve(Application.in_memory()) as server:
        yield server.urls[0]


@pytest.fixture
def frozen():
    """A server for the program to freeze, with SIGSTOP (19)."""
    with ServerProcess() as server:
        yield server


def run_headed(program, *args, **options):
    return run(HEAD + program, *args, **options)


def warnings_in(err):
    return [line for line in err.splitlines() if "ResourceWarning" in line and "tracemalloc" not in line]


WAYS_TO_DROP = {
    "at the end of a function": "def work(): E = Elevator.from_url(url); E.Put('k', 'v')\n    work()",
    "at the end of the program": "E = Elevator.from_url(url); E.Put('k', 'v')",
    "by sys.exit": "E = Elevator.from_url(url); E.Put('k', 'v'); sys.exit()",
    "a batch": "B = WriteBatch(transport='tcp', endpoint=url[6:]); B.Put('k', 'v'); B.Write()",
    "after threads": (
        "E = Elevator.from_url(url); ts = [threading.Thread(target=E.Put, args=('k', 'v')) for _ in range(8)]\n"
        "    [t.start() for t in ts]; [t.join() for t in ts]"
    ),
}


@pytest.mark.parametrize("way", WAYS_TO_DROP)
def test_a_client_that_is_dropped_open_warns_once(way, url):
    ran = run_headed("    " + WAYS_TO_DROP[way], url, options=LOUD)
    assert ran.code == 0
    (warning,) = warnings_in(ran.err)
    assert warning.endswith(f"a client of {url} was dropped open; call its disconnect(), or use it in a with block")
    assert "zmq" not in ran.err


@pytest.mark.parametrize(
    "program",
    [
        "with Elevator.from_url(url) as E: E.Put('k', 'v')",
        "E = Elevator.from_url(url); E.Put('k', 'v'); E.disconnect()",
        "E = Elevator.from_url(url); B = E.WriteBatch(); B.Put('k', 'v'); B.Write(); E.disconnect()",
        "E = Elevator(transport='fake'); E.Put('k', 'v')",
        "E = Elevator.from_url(url + '?auto_connect=no')",
    ],
)
def test_a_client_that_is_closed_or_holds_nothing_ends_without_a_word(program, url):
    ran = run_headed("    " + program, url, options=LOUD)
    assert (ran.code, ran.err) == (0, "")


def test_a_client_that_could_not_be_made_leaves_nothing_to_close(url):
    program = """
    from pyelevator import DatabaseError
    for options in ({"db_name": "nope", "endpoint": url[6:]}, {"endpoint": sys.argv[2], "timeout": 0.1}):
        try:
            Elevator(**options)
        except (DatabaseError, TransportError) as error:
            print(type(error).__name__)
    """
    ran = run_headed(program, url, unused_endpoint(), options=LOUD)
    assert (ran.code, ran.out, ran.err) == (0, "DatabaseError\nConnectTimeout\n", "")


IN_A_CALL = """
    E = Elevator.from_url(url)
    os.kill(int(sys.argv[2]), 19)
    def call():
        try:
            E.Get("k", timeout=float(sys.argv[3]))
        except RequestTimeout:
            print("timeout", flush=True)
    thread = threading.Thread(target=call, daemon=sys.argv[4] == "daemon")
    thread.start()
    while E._session._pool._idle: pass
"""


@pytest.mark.parametrize("end", ["", "sys.exit(0)", "E.disconnect()", "del E, call"])
def test_exit_does_not_wait_for_a_daemon_thread_in_a_call(frozen, end):
    ran = run_headed(IN_A_CALL + "    " + end, frozen.urls[0], frozen.pid, 3600, "daemon", options=())
    assert (ran.code, ran.out, ran.err) == (0, "", "")


def test_exit_waits_for_another_thread_no_longer_than_its_call_may_take(frozen):
    ran = run_headed(IN_A_CALL, frozen.urls[0], frozen.pid, 0.5, "not daemon", options=())
    assert (ran.code, ran.out, ran.err) == (0, "timeout\n", "")


@pytest.mark.parametrize("size", [1, 32 << 20])
def test_exit_does_not_wait_for_a_request_that_got_no_answer(frozen, size):
    program = """
    E = Elevator.from_url(url)
    os.kill(int(sys.argv[2]), 19)
    E.Put("k", "x" * int(sys.argv[3]), timeout=0.2)
    """
    ran = run_headed(program, frozen.urls[0], frozen.pid, size, options=())
    assert ran.code == 1
    assert "pyelevator.errors.RequestTimeout: no answer came" in ran.err.splitlines()[-1]


CONNECTING = """
    E = Elevator(endpoint=url, auto_connect=False)
    threading.Thread(target=lambda: E.connect(timeout=3600), daemon=True).start()
    while not any(transport.is_open for transport in E._session._pool.connections()): pass
"""


@pytest.mark.parametrize("where", ["nothing listens", "nothing answers"])
def test_exit_does_not_wait_for_a_connection(where):
    with silent_listener() as silent:
        ran = run_headed(CONNECTING, silent if where == "nothing answers" else unused_endpoint(), options=())
    assert (ran.code, ran.out, ran.err) == (0, "", "")


@pytest.mark.parametrize("end", ["sys.exit(0)", "os._exit(0)", ""])
def test_parent_and_child_of_a_fork_both_end(url, end):
    program = f"""
    E = Elevator.from_url(url)
    E.Put("k", "v")
    pid = os.fork()
    if not pid:
        assert E.Get("k") == "v"
        E.disconnect()
        {end}
    else:
        assert os.waitpid(pid, 0)[1] == 0
        assert E.Get("k") == "v"
        E.disconnect()
    """
    ran = run_headed(program, url, options=(*LOUD, *FORKING))
    assert (ran.code, ran.err) == (0, "")


def test_a_forked_child_that_never_uses_the_client_says_nothing_of_it(url):
    program = """
    E = Elevator.from_url(url)
    E.Put("k", "v")
    pid = os.fork()
    if pid:
        assert os.waitpid(pid, 0)[1] == 0
        assert E.Get("k") == "v"
        E.disconnect()
    else:
        del E
        sys.exit(0)
    """
    ran = run_headed(program, url, options=(*LOUD, *FORKING))
    assert (ran.code, ran.err) == (0, "")


COUNT = """
    import gc, time, warnings
    warnings.simplefilter("ignore")
    def descriptors():
        return len(os.listdir("/proc/self/fd"))
    def settled(most, seconds=20):
        end = time.monotonic() + seconds
        while descriptors() > most and time.monotonic() < end:
            time.sleep(0.01)
        return descriptors() <= most
    def warm():
        with Elevator.from_url(url) as E: E.ping()
    warm()
    before = descriptors()
"""


def test_a_client_that_times_out_a_thousand_times_leaks_nothing(url):
    program = """
    peak = before
    with Elevator(endpoint=sys.argv[2], auto_connect=False) as E:
        for _ in range(1000):
            try:
                E.ping(timeout=0.001)
            except TransportError:
                pass
            peak = max(peak, descriptors())
    print(settled(before + 4), peak < before + 100, len(threading.enumerate()))
    """
    with silent_listener() as silent:
        ran = run(HEAD + COUNT + program, url, silent, options=())
    assert (ran.code, ran.out, ran.err) == (0, "True True 1\n", "")


def test_clients_that_are_made_and_dropped_give_their_descriptors_back(url):
    program = """
    for _ in range(300):
        E = Elevator.from_url(url)
        E.Put("k", "v")
        B = E.WriteBatch()
        del E, B
    print(settled(before + 4))
    """
    ran = run(HEAD + COUNT + program, url, options=())
    assert (ran.code, ran.out, ran.err) == (0, "True\n", "")
