"""repairdb and dropdb as clients see them: over a server, a proxy, sync and async, and from old clients."""

import asyncio

import msgpack
import pytest

from pyelevator import AsyncElevator, DatabaseError, Elevator, RepairReport, UsageError
from pyelevator.application import Application
from pyelevator.proxy import Proxy, Upstream
from pyelevator.server import Server
from pyelevator.transports import FakeTransport
from support.leveldb_files import checksums
from support.old_servers import KINDS, OldServer

PAIRS = [[f"{i:05}", "x" * 100] for i in range(2000)]


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def server(data):
    with Server(Application.on_leveldb(str(data)), ["tcp://127.0.0.1:0"]) as server:
        yield server


@pytest.fixture(params=["server", "proxy", "fake"])
def connect(request, data):
    """Makes clients of one server on LevelDB."""
    if request.param == "fake":
        application = Application.on_leveldb(str(data))
        transport = FakeTransport(application)
        yield lambda kind, *args, **options: kind(*args, transport=transport, timeout=60, **options)
        application.close()
        return
    server = request.getfixturevalue("server")
    if request.param == "server":
        yield lambda kind, *args, **options: kind.from_url(server.urls[0] + "?timeout=60", **options)
        return
    with Proxy(["tcp://127.0.0.1:0"], Upstream(server.urls[0])) as proxy:
        yield lambda kind, *args, **options: kind.from_url(proxy.urls[0] + "?timeout=60", **options)


def filled(client):
    """The database's pairs lie in a table."""
    with client.WriteBatch() as batch:
        for key, value in PAIRS:
            batch.Put(key, value)
    client.unmount("default")
    client.mount("default")
    client.unmount("default")


def lose_tables(data):
    for table in (data / "default").glob("*.ldb"):
        table.write_bytes(table.read_bytes()[:-20])


def test_a_repair_tells_what_it_kept(connect, data):
    with connect(Elevator) as client:
        filled(client)
        report = client.repairdb()
        assert isinstance(report, RepairReport)
        assert report.kept
        assert (report.set_aside, report.lost) == ((), ())
        assert client.Range() == PAIRS


def test_a_repair_that_would_lose_most_needs_force(connect, data):
    with connect(Elevator) as client:
        filled(client)
        lose_tables(data)
        before = checksums(data / "default")
        with pytest.raises(DatabaseError, match=r"would set aside 1 of 1 tables .*nothing was changed"):
            client.repairdb()
        assert checksums(data / "default") == before
        report = client.repairdb(force=True)
        assert report.lost == report.set_aside
        assert [name for name in report.lost if (data / "default" / name).exists()] == list(report.lost)
        client.dropdb("default")
        assert (data / "default" / report.lost[0]).exists()
        client.dropdb("default", force=True)
        assert not (data / "default" / "lost").exists()
        assert client.Range() == []


def test_the_async_client_repairs_as_the_sync_one(connect, data):
    async def main():
        async with connect(AsyncElevator) as client:
            await client.Put("k", "v")
            return await client.repairdb(), await client.repairdb(force=True), await client.Get("k")

    first, second, value = asyncio.run(main())
    assert isinstance(first, RepairReport)
    assert isinstance(second, RepairReport)
    assert value == "v"


def test_another_programs_database_is_named_and_not_repaired(connect, data):
    with connect(Elevator) as client:
        filled(client)
        (data / "default" / "IDENTITY").write_text("x\n")
        before = checksums(data / "default")
        for call in (client.Range, client.repairdb, lambda: client.repairdb(force=True)):
            with pytest.raises(DatabaseError, match=r"is made by RocksDB \(IDENTITY\)"):
                call()
        assert checksums(data / "default") == before


def test_an_old_client_gets_the_answer_that_it_always_got(data):
    application = Application.on_leveldb(str(data))
    transport = FakeTransport(application)
    try:
        with Elevator(transport=transport) as client:
            uid = application.catalog.uid_of("default")
            client.Put("k", "v")
        raw = transport.clone()
        raw.send([msgpack.packb({"meta": {}, "cmd": "DBREPAIR", "uid": uid, "args": {}}, use_bin_type=False)], _later())
        header, content = raw.receive(_later())
        assert msgpack.unpackb(header, raw=False) == {
            "status": 1,
            "err_msg": None,
            "compression": False,
            "err_code": None,
        }
        assert msgpack.unpackb(content, raw=False) == {"datas": None}
    finally:
        application.close()


def _later():
    from pyelevator.deadlines import Deadline

    return Deadline.after(60)


@pytest.mark.parametrize("kind", KINDS)
def test_force_is_not_asked_of_an_old_server(kind):
    server = OldServer(kind)
    with Elevator(transport=server, dialect=server.dialect) as client:
        sent = len(server.sent)
        with pytest.raises(UsageError, match=r"does not know repairdb\(force=True\); nothing was sent"):
            client.repairdb(force=True)
        assert len(server.sent) == sent
