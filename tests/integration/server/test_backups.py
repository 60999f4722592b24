"""Backups by a server: under load, killed, where they may go, through a proxy, and beside other requests."""

import random
import threading

import pytest

from pyelevator import AsyncElevator, DatabaseError, Elevator, ElevatorError, TransportError
from pyelevator.proxy import Proxy
from pyelevator.testing.servers import ServerProcess

KEYS = [f"{number:05}" for number in range(2000)]


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups"


@pytest.fixture
def server(tmp_path, directory):
    with ServerProcess(data=tmp_path / "data", args=("--allow-path", str(directory))) as process:
        yield process


@pytest.fixture
def writer(server):
    """Writes batches that give all keys one version, until the end of the test."""
    done, started = threading.Event(), threading.Event()

    def write(version=0):
        try:
            with Elevator.from_url(server.urls[0]) as client:
                while not done.is_set():
                    version += 1
                    with client.WriteBatch(timeout=60) as batch:
                        for key in KEYS:
                            batch.Put(key, f"{version:08}")
                    started.set()
        except TransportError:  # the server was killed
            pass

    thread = threading.Thread(target=write)
    thread.start()
    assert started.wait(60)
    yield
    done.set()
    thread.join()


def versions(server, path):
    with Elevator.from_url(server.urls[0], timeout=60) as client:
        if str(path) not in client.listdb():
            client.createdb(str(path))
        client.connect(str(path))
        pairs = client.Range()
    assert [key for key, _ in pairs] == KEYS
    return {value for _, value in pairs}


@pytest.mark.usefixtures("writer")
def test_backups_under_load_are_of_one_moment_each(server, directory):
    with Elevator.from_url(server.urls[0], timeout=60) as client:
        for number in range(6):
            client.backup("default", str(directory / str(number)))
    moments = [versions(server, directory / str(number)) for number in range(6)]
    assert [len(found) for found in moments] == [1] * 6
    assert sorted(moments, key=max) == moments


@pytest.mark.usefixtures("writer")
@pytest.mark.parametrize("seed", range(2))
def test_a_backup_of_a_killed_server_is_complete_or_not_there(server, directory, seed):
    stop = threading.Event()

    def back_up():
        with Elevator.from_url(server.urls[0], timeout=60) as client:
            for number in range(1000):
                try:
                    client.backup("default", str(directory / f"{number:04}"))
                except ElevatorError:
                    return
                first.set()

    first = threading.Event()
    thread = threading.Thread(target=back_up)
    thread.start()
    assert first.wait(60)
    stop.wait(random.Random(seed).random() / 5)
    server.kill()
    thread.join()
    server.restart()
    found = [path for path in sorted(directory.iterdir()) if not path.name.startswith(".")]
    assert found
    for path in found:
        assert len(versions(server, path)) == 1


@pytest.mark.parametrize("place", ["{outside}/x", "{data}/x", "{backups}/../x", "x", "/"])
def test_a_backup_goes_only_where_it_may(server, tmp_path, directory, place):
    path = place.format(outside=tmp_path, data=tmp_path / "data", backups=directory)
    with Elevator.from_url(server.urls[0]) as client, pytest.raises(DatabaseError, match=r"^[^\n]+$"):
        client.backup("default", path)
    assert not (tmp_path / "x").exists()
    assert list(directory.iterdir()) == []
    assert not (tmp_path / "data" / "x").exists()


def test_a_link_does_not_lead_out_of_where_it_may_go(server, tmp_path, directory):
    (tmp_path / "elsewhere").mkdir()
    (directory / "link").symlink_to(tmp_path / "elsewhere")
    with Elevator.from_url(server.urls[0]) as client:
        with pytest.raises(DatabaseError, match="is not under an allowed directory"):
            client.backup("default", str(directory / "link" / "x"))
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_backup_compaction_and_sizes_go_through_a_proxy(server, directory):
    with Proxy(["tcp://127.0.0.1:0"], server.urls[0]) as proxy, Elevator.from_url(proxy.urls[0], timeout=60) as client:
        for key in KEYS[:100]:
            client.Put(key, "v" * 1000)
        client.compact()
        assert client.sizes([""])[0] > 0
        assert client.progress() == []
        assert client.backup("default", str(directory / "x")).size > 1000


def test_a_proxy_with_several_servers_asks_the_right_one(server, tmp_path, directory):
    from pyelevator.proxy import Upstream

    with ServerProcess(data=tmp_path / "west") as west:
        upstreams = [Upstream(west.urls[0], ("west-*",)), Upstream(server.urls[0])]
        with Proxy(["tcp://127.0.0.1:0"], upstreams) as proxy, Elevator.from_url(proxy.urls[0]) as client:
            client.createdb("west-1")
            assert client.backup("west-1", str(tmp_path / "of-west")).size > 0
            assert client.backup("default", str(directory / "of-east")).size > 0
            assert client.progress() == []
    assert (tmp_path / "of-west").is_dir()


def test_async_clients_have_the_same(server, directory):
    import asyncio

    async def use():
        async with AsyncElevator.from_url(server.urls[0], timeout=60) as client:
            await client.Put("k", "v")
            await client.compact()
            report = await client.backup("default", str(directory / "x"))
            return report.size, await client.sizes([("a", "b")]), await client.progress()

    size, sizes, tasks = asyncio.run(use())
    assert (size > 0, sizes, tasks) == (True, [0], [])
