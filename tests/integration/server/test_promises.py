"""``--sync`` and ``--idle-unmount`` of a server process."""

from functools import partial

import pytest

from pyelevator import Elevator
from pyelevator.application import Application, Policy
from pyelevator.commands import Put
from pyelevator.engines.leveldb import LevelDbEngine
from pyelevator.messages import Request
from pyelevator.testing.servers import ServerProcess, serve
from support.eventually import eventually


def writes(client, **options):
    """One write of each kind."""
    client.Put("k", "v", **options)
    client.Delete("k", **options)
    batch = client.WriteBatch()
    batch.Put("k", "v")
    batch.Write(**options)


@pytest.mark.parametrize(
    ("policy", "options", "synced"),
    [
        (Policy(), {}, [False, False, False]),
        (Policy(), {"sync": True}, [True, True, True]),
        (Policy(sync=True), {}, [True, True, True]),
        (Policy(sync=True), {"sync": False}, [True, True, True]),
    ],
)
def test_a_write_is_synced_if_it_or_the_server_says_so(tmp_path, monkeypatch, policy, options, synced):
    seen, batch = [], LevelDbEngine._batch
    monkeypatch.setattr(
        LevelDbEngine, "_batch", lambda engine, ops, sync: seen.append(sync) or batch(engine, ops, sync)
    )
    with serve(Application.on_leveldb(str(tmp_path), policy=policy)) as server:
        with Elevator.from_url(server.urls[0]) as client:
            writes(client, **options)
    assert seen == synced


def test_a_database_that_is_not_used_is_closed_and_opens_again_on_use(tmp_path):
    def is_unmounted(times):
        return server.output.count(" unmounted default") >= times

    with ServerProcess(tmp_path, args=["--idle-unmount", "0.005", "-v"]) as server:  # 0.3 s
        with Elevator(endpoint=server.urls[0].partition("://")[2], timeout=20) as client:
            client.Put("k", "v")
            for times in (1, 2, 3):
                eventually(partial(is_unmounted, times))
                assert client.Get("k") == "v"
        assert server.stop() == 0
        assert server.output.count(" mounted default") == server.output.count(" unmounted default") >= 4


def test_a_database_in_use_is_not_closed(tmp_path):
    with ServerProcess(tmp_path, args=["--idle-unmount", "0.05", "-v"]) as server:  # 3 s
        with Elevator(endpoint=server.urls[0].partition("://")[2], timeout=20) as client:
            client.createdb("idle")
            eventually(lambda: client.Put("k", "v") or " unmounted idle" in server.output)
        assert " unmounted default" not in server.output


@pytest.mark.parametrize(("idle_unmount", "stays_open"), [(None, True), (60.0, False)])
def test_without_it_no_database_is_closed(idle_unmount, stays_open):
    application = Application.in_memory(Policy(idle_unmount=idle_unmount))
    uid = application.catalog.uid_of("default")
    application(Request(Put("k", "v"), uid))
    database = application.catalog.get_database(uid)
    database.used_at -= 3600
    application.run_maintenance()
    assert (database.engine is not None) is stays_open
