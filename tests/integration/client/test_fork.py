"""A client that was used before a fork works in parent and child, and the child leaves the parent's sockets alone.

The programs run in processes of their own: forking the test's own process would take its threads' locks along.
"""

import copy
import pickle
from contextlib import ExitStack

import pytest

from pyelevator import Elevator
from pyelevator.application import Application
from pyelevator.auth.keys import generate_keys
from pyelevator.testing.servers import ProxyProcess, ServerProcess, serve
from support.forking import FORKING
from support.programs import run

OPTIONS = ("-X", "faulthandler", "-W", "always", *FORKING)

HEAD = """
    import asyncio, ctypes, multiprocessing, os, sys, threading, time, traceback
    from pyelevator import AsyncElevator, Elevator, TransportError

    def fork_by_c(fork=ctypes.PyDLL(None).fork):
        sys.setswitchinterval(1000)  # no thread is to wait for the interpreter's lock: CPython's child would hang
        time.sleep(0.01)  # lets threads that have just begun come to rest
        try:
            return fork()
        finally:
            sys.setswitchinterval(0.005)

    fork = {"os": os.fork, "C": fork_by_c}[sys.argv.pop(1)]

    def in_child(work):
        pid = fork()
        if not pid:
            code = 1
            try:
                work()
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(code)
        return pid

    def join(*pids):
        for pid in pids:
            assert os.waitpid(pid, 0)[1] == 0
"""


@pytest.fixture(params=["tcp", "ipc"])
def url(request, tmp_path):
    bind = "tcp://127.0.0.1:0" if request.param == "tcp" else f"ipc://{tmp_path}/socket"
    with serve(Application.in_memory(), bind) as server:
        yield server.urls[0]


@pytest.fixture(params=["os", "C"])
def forking(request):
    """Runs a program that forks in this way; what it printed."""

    def run_forking(program, *args):
        ran = run(HEAD + program, request.param, *args, options=OPTIONS)
        assert (ran.code, ran.err) == (0, "")
        return ran.out.split()

    return run_forking


def test_parent_and_child_use_the_client_at_the_same_time(forking, url):
    program = """
    with Elevator.from_url(sys.argv[1]) as E:
        E.Put("k", "v")

        def work():
            for number in range(200):
                key = f"{os.getpid()} {number}"
                E.Put(key, key)
                assert E.Get(key) == key
                assert E.Get("k") == "v"

        pids = [in_child(work) for _ in range(3)]
        work()
        join(*pids)
        print(len(E.Range()))
    """
    assert forking(program, url) == ["801"]


SPY = """
    touched, parents = [], set()

    def spy(kind, names):
        for name in names:
            def method(self, *args, _done=getattr(kind, name), _name=name, **options):
                if id(self) in parents:
                    touched.append((_name, args))
                return _done(self, *args, **options)
            setattr(kind, name, method)
"""


def test_the_child_never_touches_the_parents_sockets(forking, url):
    program = """
    from pyelevator.transports.sockets.socket import ClientSocket
    spy(ClientSocket, ("send", "recv", "shutdown", "connect", "connect_ex", "getsockopt", "setsockopt"))
    with Elevator.from_url(sys.argv[1]) as E:
        E.Put("k", "v")
        lines = [link._transport._connection for link in E._session._pool.connections()]
        parents.update(id(line._socket) for line in lines)
        for line in lines:  # it took the methods before a test could replace them
            line._send, line._receive = line._socket.send, line._socket.recv

        def work():
            assert E.Get("k") == "v"
            E.disconnect()
            E.connect()
            assert E.Get("k") == "v"
            assert all(line._socket.fileno() >= 0 for line in lines)
            del lines[:]  # what the child drops is its own descriptor
            assert touched == [], touched

        join(in_child(work))
        assert E.Get("k") == "v"
        assert touched
    """
    assert forking(SPY + program, url) == []


@pytest.mark.parametrize("forking", ["os"], indirect=True)  # C leaves the locks of Python itself as they are
def test_a_fork_while_other_threads_are_in_calls(forking, url):
    program = """
    with Elevator.from_url(sys.argv[1]) as E:
        E.Put("k", "v")
        over, wrong = threading.Event(), []

        def busy():
            while not over.is_set():
                if E.Get("k") != "v":
                    wrong.append(1)

        threads = [threading.Thread(target=busy) for _ in range(4)]
        for thread in threads:
            thread.start()

        def work():
            for _ in range(20):
                assert E.Get("k") == "v"

        for _ in range(20):
            join(in_child(work))
        over.set()
        for thread in threads:
            thread.join()
        print(wrong)
    """
    assert forking(program, url) == ["[]"]


OWN_KEYS = """
    def own_keys(E):
        # what only this process reads, often enough for the other one to come in between
        me = str(os.getpid())
        E.Put(me, me)
        for number in range(300):
            assert E.Get(me) == me
            assert E.MGet([me, me]) == [me, me]
"""

USES = {
    "batches": """
            batch.Put(me, me)
            batch.Write()
            assert E.Get(me) == me""",
    "iterators": """
            rest = list(it)
            assert rest == keys[len(seen):], (len(seen), len(rest))
            assert list(E.RangeIter(include_value=False, consistent=True, prefix="k")) == keys
            batch.Clear()""",
    "pipelines": """
            for _ in range(50):
                with E.pipeline() as p:
                    p.Put(me, me)
                    mine = p.Get(me)
                assert mine.result() == me
            batch.Clear()""",
}


@pytest.mark.parametrize("use", USES)
def test_what_was_begun_before_the_fork_goes_on_in_both(forking, url, use):
    program = """
    with Elevator.from_url(sys.argv[1]) as E:
        keys = [f"k{number:04}" for number in range(2000)]
        with E.WriteBatch() as batch:
            for key in keys:
                batch.Put(key, key)
        batch = E.WriteBatch()
        batch.Put("of both", "x")
        it = E.RangeIter(include_value=False, prefix="k")
        seen = [next(it) for _ in range(130)]

        def work():
            me = str(os.getpid())
            USE

        pids = [in_child(work) for _ in range(2)]
        work()
        join(*pids)
    """
    assert forking(program.replace("USE", USES[use]), url) == []


def test_children_go_on_with_a_snapshot_and_leave_it_to_the_parent(forking, url):
    program = """
    with Elevator.from_url(sys.argv[1]) as E:
        keys = [f"k{number:04}" for number in range(2000)]
        with E.WriteBatch() as batch:
            for key in keys:
                batch.Put(key, key)
        it = E.RangeIter(include_value=False, consistent=True)
        seen = [next(it) for _ in range(130)]
        E.Put("k0500a", "later")

        def work():
            assert seen + list(it) == keys
            it.close()

        join(in_child(work), in_child(work))
        work()
    """
    assert forking(program, url) == []


def test_async_clients_on_a_loop_of_each_process(forking, url):
    program = """
    async def work():
        me = str(os.getpid())
        await E.Put(me, me)
        for _ in range(20):
            assert await asyncio.gather(*(E.Get(me) for _ in range(20))) == [me] * 20
        assert [key async for key in E.RangeIter(include_value=False, prefix=me)] == [me]

    E = AsyncElevator.from_url(sys.argv[1])
    asyncio.run(work())
    pids = [in_child(lambda: asyncio.run(work())) for _ in range(2)]
    asyncio.run(work())
    join(*pids)
    asyncio.run(E.disconnect())
    """
    assert forking(program, url) == []


def test_an_async_client_whose_process_forks_while_its_loop_runs(forking, url):
    """The loops of both share what they wait with, so the child must not touch what it knows of the parent's."""
    program = """
    async def work():
        me = str(os.getpid())
        await E.Put(me, me)
        for _ in range(300):
            assert await E.Get(me) == me

    async def main():
        await work()
        pid = fork()
        if not pid:
            code = 1
            try:
                try:
                    asyncio.get_running_loop()
                except RuntimeError:  # Python has noticed, and a loop of its own is all that it may have
                    asyncio.run(work())
                else:
                    await work()
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        await work()
        join(pid)
        await E.disconnect()

    E = AsyncElevator.from_url(sys.argv[1])
    asyncio.run(main())
    """
    assert forking(program, url) == []


@pytest.fixture(params=["server", "server with keys", "proxy", "proxy with keys"])
def place(request, tmp_path):
    """The URL of a server or a proxy in a process of its own."""
    args, query = [], ""
    if "keys" in request.param:
        generate_keys(tmp_path / "keys")
        generate_keys(tmp_path / "keys" / "clients", "client")
        args = ["--curve-keys", str(tmp_path / "keys")]
        query = f"?curve_key={tmp_path}/keys/clients/client.key_secret&server_key={tmp_path}/keys/server.key"
    with ExitStack() as stack:
        is_proxy = "proxy" in request.param
        server = stack.enter_context(ServerProcess(args=[] if is_proxy else args))
        asked = stack.enter_context(ProxyProcess(server.urls[0], args=args)) if is_proxy else server
        yield asked.urls[0] + query


def test_parent_and_children_get_their_own_answers_everywhere(forking, place):
    program = """
    with Elevator.from_url(sys.argv[1]) as E:
        own_keys(E)
        pids = [in_child(lambda: own_keys(E)) for _ in range(2)]
        own_keys(E)
        join(*pids)

    async def work():
        me = str(os.getpid())
        await E.Put(me, me)
        for _ in range(100):
            assert await E.Get(me) == me

    E = AsyncElevator.from_url(sys.argv[1])
    asyncio.run(work())
    pids = [in_child(lambda: asyncio.run(work())) for _ in range(2)]
    asyncio.run(work())
    join(*pids)
    asyncio.run(E.disconnect())
    """
    assert forking(OWN_KEYS + program, place) == []


def test_a_mirror_copies_what_the_child_writes_as_well(forking, url):
    program = """
    from pyelevator.client.interceptors.mirror import Mirror
    from pyelevator.transports import TcpTransport, IpcTransport
    scheme, _, address = sys.argv[1].partition("://")
    second = {"tcp": TcpTransport, "ipc": IpcTransport}[scheme](address)
    with Elevator.from_url(sys.argv[1]) as E:
        E.createdb("first")
    with Mirror(second) as mirror, Elevator("first", transport=second, interceptors=[mirror]) as E:
        E.Put("before", "1")
        mirror.flush()

        def work():
            E.Put("child", "1")
            mirror.flush()
            mirror.close()

        pid = in_child(work)
        E.Put("parent", "1")
        mirror.flush()
        join(pid)
        print(*E.Range(include_value=False))
    """
    assert forking(program, url) == ["before", "child", "parent"]


def test_a_route_leads_the_child_to_the_other_server_as_well(forking, url):
    program = """
    from pyelevator.client.interceptors.route import Route
    from pyelevator.transports import TcpTransport, IpcTransport
    scheme, _, address = sys.argv[1].partition("://")
    west = {"tcp": TcpTransport, "ipc": IpcTransport}[scheme](address)
    with Route({"west-*": west}) as route, Elevator(transport="fake", interceptors=[route]) as E:
        E.createdb("west-1")
        E.connect("west-1")
        own_keys(E)
        pids = [in_child(lambda: own_keys(E)) for _ in range(2)]
        own_keys(E)
        join(*pids)
    """
    assert forking(OWN_KEYS + program, url) == []


def test_a_child_made_by_c_can_end_as_any_program_does(url):
    """Python waits for some threads at its end, and in such a child it thinks that the parent's are still there."""
    program = """
    from pyelevator.client.interceptors.mirror import Mirror
    from pyelevator.client.interceptors.route import Route
    from pyelevator.transports import FakeTransport
    sys.setswitchinterval(1000)  # no thread waits for the interpreter's lock at the fork: CPython bears that in no child
    mirror, route = Mirror(FakeTransport()), Route({"west-*": FakeTransport()})
    E = Elevator.from_url(sys.argv[1])
    with Elevator(transport="fake", interceptors=[mirror, route]) as F:
        F.createdb("west-1")
    mirror.flush()
    pid = fork()
    if pid:
        join(pid)
    E.Put("k", "v")
    for each in (E.disconnect, mirror.close, route.close):
        each()
    print("over", flush=True)
    """
    ran = run(HEAD + program, "C", url, options=OPTIONS)
    assert (ran.code, ran.out, ran.err) == (0, "over\nover\n", "")


def test_a_fork_in_the_middle_of_a_call_of_the_same_thread(forking, url):
    """As when a signal handler forks: the parent still gets its answer, and the child does not."""
    program = """
    import signal
    from pyelevator.transports.sockets import blocking
    with Elevator.from_url(sys.argv[1]) as E:
        E.Put("k", "v")
        E.Put("l", "w")
        pids = []

        def work():
            assert E.Get("l") == "w"

        def handler(*_):
            pids.append(in_child(work))

        wait = blocking._wait

        def waiting(*args):
            blocking._wait = wait
            os.kill(os.getpid(), signal.SIGUSR1)
            return wait(*args)

        signal.signal(signal.SIGUSR1, handler)
        blocking._wait = waiting
        assert E.Get("k") == "v"
        assert len(pids) == 1
        join(*pids)
    """
    assert forking(program, url) == []


def test_children_of_children(forking, url):
    program = """
    with Elevator.from_url(sys.argv[1]) as E:
        E.Put("k", "v")

        def grandchild():
            assert E.Get("k") == "v"

        def child():
            assert E.Get("k") == "v"
            join(in_child(grandchild))
            assert E.Get("k") == "v"

        def early_child():
            join(in_child(grandchild))
            assert E.Get("k") == "v"

        join(in_child(child), in_child(early_child))
        assert E.Get("k") == "v"
    """
    assert forking(program, url) == []


def test_a_server_that_forks_its_workers_beforehand(forking, url):
    """As gunicorn does it with a preloaded application: workers share a listening socket, die and are replaced."""
    program = """
    import signal, socket
    with Elevator.from_url(sys.argv[1]) as E, socket.create_server(("127.0.0.1", 0)) as listening:
        E.Put("visits", "0")

        def serve():
            while True:
                connection, _ = listening.accept()
                with connection:
                    key = connection.recv(100).decode()
                    E.Put(key, f"{os.getpid()}")
                    connection.sendall(f"{E.Get(key)} {E.Get('visits')}".encode())

        def ask(key):
            with socket.create_connection(listening.getsockname()) as connection:
                connection.sendall(key.encode())
                return connection.recv(100).decode().split()

        workers, seen = [in_child(serve) for _ in range(4)], set()
        for number in range(60):
            if number % 20 == 10:
                os.kill(workers[0], signal.SIGKILL)
                os.waitpid(workers.pop(0), 0)
                workers.append(in_child(serve))
            pid, visits = ask(f"request {number}")
            assert E.Get(f"request {number}") == pid
            assert visits == "0"
            seen.add(int(pid))
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
            os.waitpid(worker, 0)
        print(len(E.Range(prefix="request")), os.getpid() in seen)
    """
    assert forking(program, url) == ["60", "False"]


POOL = """
from pyelevator import Elevator

E = None

def use(url):
    global E
    E = Elevator.from_url(url)
    E.Put("k", "v")

def work(number):
    if E is None:
        return "no client"
    E.Put(str(number), str(number * number))
    return E.Get(str(number))

def init(url):
    use(url)
"""

MAIN = """
    sys.path.insert(0, sys.argv[2])
    import pool
    context = multiprocessing.get_context(sys.argv[3])
    if __name__ == "__main__":
        pool.use(sys.argv[1])
        fork = sys.argv[3] == "fork"
        with context.Pool(3, *([] if fork else [pool.init, (sys.argv[1],)])) as workers:
            assert workers.map(pool.work, range(30)) == [str(n * n) for n in range(30)]
            workers.close()
            workers.join()
        assert pool.E.Get("29") == "841"
        print(len(pool.E.Range()))
        pool.E.disconnect()
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(url, tmp_path, method):
    """After a fork the client is there already; what is spawned makes its own."""
    (tmp_path / "pool.py").write_text(POOL)
    ran = run(HEAD + MAIN, "os", url, tmp_path, method, options=("-X", "faulthandler", *FORKING))
    assert (ran.code, ran.out, ran.err) == (0, "31\n", "")


def test_a_client_cannot_be_pickled_and_says_what_to_do_instead():
    with Elevator(transport="fake") as E:
        for take in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="make one in each process"):
                take(E)
