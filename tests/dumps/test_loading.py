"""Dumps of databases and loads of them, with clients in this process and servers over every transport."""

import io
import threading

import pytest

from pyelevator import ConnectionLost, Elevator
from pyelevator.application import Application
from pyelevator.application.policy import Policy
from pyelevator.commands import Batch, Compact, Exists
from pyelevator.dumps import (
    BinaryWriter,
    DumpError,
    DumpTotals,
    LoadOptions,
    PositionFiles,
    check_dump,
    dump,
    dumping,
    load,
    loading,
    open_dump,
)
from pyelevator.errors import DatabaseError, ErrorCode, PermissionDenied
from pyelevator.messages import Response
from pyelevator.proxy import Proxy, Upstream
from pyelevator.server import Server
from pyelevator.transports import FakeTransport
from support.dumped import content, fill

PAIRS = {b"user:%04d" % number: b"%d" % number for number in range(3000)} | {b"other\xff": b"\x00"}


def dumped(client, *databases, **options):
    file = io.BytesIO()
    dump(client, BinaryWriter(file), databases or ["default"], **options)
    return file.getvalue()


def dump_of(pairs):
    with Elevator(transport=FakeTransport(), encoding=None) as client:
        fill(client, pairs)
        return dumped(client)


def loaded(client, data, positions=None, **options):
    return load(client, open_dump(io.BytesIO(data)), LoadOptions(**options), positions=positions)


@pytest.fixture(params=["fake", "tcp", "ipc", "proxy"])
def url(request, tmp_path):
    if request.param == "fake":
        yield "fake://"
        return
    if request.param == "proxy":
        with Server(Application.on_leveldb(str(tmp_path / "data")), ["tcp://127.0.0.1:0"]) as server:
            with Proxy(["tcp://127.0.0.1:0"], server.urls[0]) as proxy:
                yield proxy.urls[0]
        return
    bind = "tcp://127.0.0.1:0" if request.param == "tcp" else f"ipc://{tmp_path}/e.sock"
    with Server(Application.on_leveldb(str(tmp_path / "data")), [bind]) as server:
        yield server.urls[0]


def test_databases_come_back_over_every_transport(url):
    with Elevator.from_url(url, encoding=None) as client:
        client.createdb("app")
        fill(client, PAIRS)
        client.connect("app")
        client.Put("a", "1")
        data = dumped(client, "default", "app")
        client.dropdb("app")
        client.dropdb("default")
        assert loaded(client, data) == DumpTotals(2, 3002, sum(map(len, PAIRS)) + sum(map(len, PAIRS.values())) + 2)
        assert content(client) == {b"a": b"1"}
        client.connect("default")
        assert content(client) == PAIRS


def test_a_prefix_limits_the_dump_and_the_load(source, target):
    fill(source, PAIRS)
    assert loaded(target, dumped(source, prefix="user:00")).pairs == 100
    target.createdb("other")
    assert loaded(target, dumped(source), to_db="other", prefix=b"other").pairs == 1
    assert content(target) == {b"other\xff": b"\x00"}


def test_a_database_with_pairs_is_loaded_into_only_with_merge(source, target):
    source.Put("a", "1")
    target.Put("a", "0")
    target.Put("b", "2")
    data = dumped(source)
    with pytest.raises(DumpError, match="the database default holds pairs already; --to-db NAME loads into another"):
        loaded(target, data)
    assert content(target) == {b"a": b"0", b"b": b"2"}
    loaded(target, data, merge=True)
    assert content(target) == {b"a": b"1", b"b": b"2"}


def test_one_of_several_databases_can_be_chosen_and_renamed(source, target):
    source.createdb("app")
    source.connect("app")
    source.Put("a", "1")
    data = dumped(source, "default", "app")
    assert loaded(target, data, databases=("app",), to_db="copy") == DumpTotals(1, 1, 2)
    assert target.listdb() == ["default", "copy"]
    with pytest.raises(DumpError, match="the dump has several databases, and --to-db takes one"):
        loaded(target, data, to_db="both")
    with pytest.raises(DumpError, match="the dump has no database nosuch"):
        loaded(target, data, databases=("nosuch",))


def test_a_database_that_is_not_there_cannot_be_dumped(source):
    with pytest.raises(DatabaseError, match="Database does not exist"):
        dumped(source, "nosuch")


def test_a_database_that_is_named_twice_is_dumped_once(source, target):
    source.Put("a", "1")
    assert loaded(target, dumped(source, "default", "default")).databases == 1


def test_a_damaged_record_ends_the_load_before_it_is_written(source, target):
    fill(source, PAIRS)
    data = bytearray(dumped(source))
    data[len(data) // 2] ^= 1
    with pytest.raises(DumpError, match="a checksum is wrong"):
        loaded(target, bytes(data))
    assert content(target) == {}


class CutOff:
    """Lets some batches through, and then none."""

    def __init__(self, batches):
        self.batches, self.sizes = batches, []

    def __call__(self, request, forward):
        if isinstance(request.command, Batch):
            if len(self.sizes) == self.batches:
                raise ConnectionLost("the server left")
            self.sizes.append(len(request.command.ops))
        return (yield from forward(request))


@pytest.fixture
def small_records(monkeypatch):
    monkeypatch.setattr("pyelevator.dumps.dumping._RECORD_PAIRS", 500)
    monkeypatch.setattr(loading, "_POSITION_BYTES", 1)


@pytest.mark.usefixtures("small_records")
@pytest.mark.parametrize("batches", [0, 1, 3, 6])
def test_an_interrupted_load_goes_on_from_its_position(source, tmp_path, batches):
    fill(source, PAIRS)
    data, server = dumped(source), FakeTransport()
    first, second = CutOff(batches), CutOff(99)
    with Elevator(transport=server, encoding=None, interceptors=[first]) as client:
        with pytest.raises(ConnectionLost):
            loaded(client, data, PositionFiles(tmp_path, "f.dump"))
        assert len(content(client)) == 500 * batches
    assert len(list(tmp_path.iterdir())) == 1
    with Elevator(transport=server, encoding=None, interceptors=[second]) as client:
        loaded(client, data, PositionFiles(tmp_path, "f.dump"))
        assert content(client) == PAIRS
    recorded = batches // 2 * 2  # a position is due when the batch before it has filled its bytes
    assert sum(second.sizes) == len(PAIRS) - 500 * recorded
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("small_records")
def test_a_position_counts_only_for_its_dump_database_and_keys(source, tmp_path):
    fill(source, PAIRS)
    data, other, server = dumped(source), dumped(source), FakeTransport()
    with Elevator(transport=server, encoding=None, interceptors=[CutOff(2)]) as client:
        with pytest.raises(ConnectionLost):
            loaded(client, data, PositionFiles(tmp_path, "f.dump"))
    with Elevator(transport=server, encoding=None) as client:
        for again, options in ((other, {}), (data, {"prefix": b"user"})):
            with pytest.raises(DumpError, match="holds pairs already"):
                loaded(client, again, PositionFiles(tmp_path, "f.dump"), **options)
        client.dropdb("default")
        fill(client, {b"new": b"1"})
        client.createdb("fresh")
        loaded(client, data, PositionFiles(tmp_path, "f.dump"), to_db="fresh")
        assert content(client) == PAIRS


def test_a_damaged_position_file_is_named(source, target, tmp_path):
    positions = PositionFiles(tmp_path, "f.dump")
    path = positions.path(target.db_uid)
    path.write_text("{")
    with pytest.raises(DumpError, match=r"f\.dump.*loading is damaged; remove it to load the dump from its beginning"):
        loaded(target, dumped(source), positions)


def test_records_over_the_server_s_limit_are_split(source, tmp_path):
    pairs = {b"%04d" % number: bytes(1000) for number in range(200)}
    fill(source, pairs)
    data = dumped(source)
    from pyelevator.codec import Limits

    with Server(Application.in_memory(), ["tcp://127.0.0.1:0"], limits=Limits(frame_bytes=16 << 10)) as server:
        with Elevator.from_url(server.urls[0], encoding=None) as client:
            loaded(client, data)
            assert content(client) == pairs


def test_a_dump_under_writes_is_of_one_moment(tmp_path):
    """Each batch gives all keys the same version, so a moment of the history has one version."""
    keys = [b"%05d" % number for number in range(20_000)]
    done = threading.Event()
    with Server(Application.on_leveldb(str(tmp_path / "data")), ["tcp://127.0.0.1:0"]) as server:
        url = server.urls[0]

        def write(version=0):
            with Elevator.from_url(url) as client:
                while not done.is_set():
                    version += 1
                    with client.WriteBatch(timeout=60) as batch:
                        for key in keys:
                            batch.Put(key, b"%08d" % version)
                    written.release()

        written = threading.Semaphore(0)
        writer = threading.Thread(target=write)
        writer.start()
        written.acquire()
        try:
            with Elevator.from_url(url, encoding=None, timeout=60) as client:
                dumps = [dumped(client) for _ in range(3)]
        finally:
            done.set()
            writer.join()
    for data in dumps:
        with Elevator(transport=FakeTransport(), encoding=None, timeout=60) as fake:
            loaded(fake, data)
            pairs = content(fake)
            assert list(pairs) == keys
            assert len(set(pairs.values())) == 1


@pytest.mark.usefixtures("small_records")
@pytest.mark.parametrize(("together", "expected"), [(True, {b"a": b"1"}), (False, {b"a": b"1", b"b": b"2"})])
def test_databases_are_of_one_moment_unless_each_has_its_own(tmp_path, target, together, expected):
    with Server(Application.on_leveldb(str(tmp_path / "data")), ["tcp://127.0.0.1:0"]) as server:
        with Elevator.from_url(server.urls[0], encoding=None) as client:
            fill(client, PAIRS)
            with Elevator.from_url(server.urls[0], db_name="app", create=True) as app:
                app.Put("a", "1")
                data = dumped(client, "default", "app", together=together, on_progress=lambda *_: app.Put("b", "2"))
    loaded(target, data)
    assert content(target) == expected
    target.connect("default")
    assert content(target) == PAIRS


@pytest.mark.usefixtures("small_records")
def test_databases_whose_turn_has_not_come_are_read_so_that_they_stay_open(monkeypatch):
    monkeypatch.setattr(dumping, "_TOUCH_INTERVAL", 0.0)
    touched = []

    def watch(request, forward):
        if isinstance(request.command, Exists):
            touched.append(request.uid.partition("@")[0])
        return (yield from forward(request))

    with Elevator(transport=FakeTransport(), encoding=None, interceptors=[watch]) as client:
        for name in ("app", "other"):
            client.createdb(name)
            client.connect(name)
            fill(client, PAIRS)
        dumped(client, "app", "other")
        client.connect("other")
        assert set(touched) == {client.db_uid}


def test_databases_of_several_servers_have_no_common_moment():
    with Server(Application.in_memory(), ["tcp://127.0.0.1:0"]) as one:
        with Server(Application.in_memory(), ["tcp://127.0.0.1:0"]) as two:
            with Elevator.from_url(two.urls[0]) as client:
                client.createdb("app")
            upstreams = [Upstream(two.urls[0], ("app",), name="two"), Upstream(one.urls[0], name="one")]
            with Proxy(["tcp://127.0.0.1:0"], upstreams) as proxy:
                with Elevator.from_url(proxy.urls[0], encoding=None) as client:
                    with pytest.raises(DumpError, match="--each dumps every database as of a moment of its own"):
                        dumped(client, "default", "app")
                    data = dumped(client, "default", "app", together=False)
                    assert check_dump(open_dump(io.BytesIO(data))).databases == 2


def test_the_write_buffer_of_the_server_is_written_to_a_table_now_and_then(monkeypatch, tmp_path):
    monkeypatch.setattr(loading, "_BUFFER_BYTES", 1)
    with Server(Application.on_leveldb(str(tmp_path / "data")), ["tcp://127.0.0.1:0"]) as server:
        with Elevator.from_url(server.urls[0], encoding=None) as client:
            loaded(client, dump_of(PAIRS))
            assert content(client) == PAIRS
            stats = client.stats().database("default").engine
            assert stats is not None
            assert [level.tables for level in stats.levels if level.tables] == [1]


@pytest.mark.usefixtures("small_records")
def test_a_load_by_a_client_that_may_only_write_leaves_the_buffer_alone(monkeypatch):
    monkeypatch.setattr(loading, "_BUFFER_BYTES", 1)
    compactions = []

    def refuse(request, forward):
        if isinstance(request.command, Compact):
            compactions.append(request)
            return Response.failure(ErrorCode.OS, f"{PermissionDenied.MESSAGE_PREFIX}it may only write", request.id)
        return (yield from forward(request))

    with Elevator(transport=FakeTransport(), encoding=None, interceptors=[refuse]) as client:
        loaded(client, dump_of(PAIRS))
    assert len(compactions) == 1


def test_a_cursor_that_ends_while_it_is_dumped_is_an_error(tmp_path):
    """The server makes room for one snapshot only, and another client takes it."""
    from pyelevator.errors import CursorExpired

    application = Application.in_memory(Policy(max_cursors=1))
    with Server(application, ["tcp://127.0.0.1:0"]) as server:
        with Elevator.from_url(server.urls[0], encoding=None) as client, Elevator.from_url(server.urls[0]) as other:
            fill(client, {b"%06d" % number: bytes(1000) for number in range(9000)})

            def take_the_snapshot(*_):
                rows = other.RangeIter(consistent=True)
                next(rows)
                taken.append(rows)

            taken = []
            with pytest.raises(CursorExpired):
                dumped(client, on_progress=take_the_snapshot)
