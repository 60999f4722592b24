"""Disks that are full, that of the databases and that of the write-ahead log: an error with a name, and no loss."""

import os
import shutil
import subprocess
from contextlib import contextmanager

import pytest

from pyelevator.commands import PUT
from pyelevator.engines.base import EngineFileError, EngineOutcomeUnknown, EngineUnavailable
from support.eventually import eventually
from support.postgresql import UNPRIVILEGED, PostgreSql

CHUNK = 4 << 20


@contextmanager
def small_disk(server, name, megabytes):
    """Mount a disk that is memory in the directory of a server, which is stopped before it goes."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    place = server.directory / name
    place.mkdir()
    options = f"size={megabytes}m,mode=700,uid={UNPRIVILEGED},gid={UNPRIVILEGED}"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield place
    finally:
        server.stop()
        subprocess.run(["umount", place], check=False)


def write_until_refused(engine, chunks):
    """Write a key for each chunk; return the keys that were acknowledged, the one that was not, and its error."""
    written: list[bytes] = []
    for number in range(chunks):
        key = b"%d" % number
        try:
            engine.write([(PUT, key, os.urandom(CHUNK))])
        except (EngineFileError, EngineOutcomeUnknown, EngineUnavailable) as error:
            return written, key, error
        written.append(key)
    raise AssertionError("the disk was never full")


def test_a_full_disk_is_an_error_with_a_name(open_storage):
    with PostgreSql() as server, small_disk(server, "small", 40) as place:
        server.execute(f"CREATE TABLESPACE small LOCATION '{place}'")
        server.execute(
            "GRANT CREATE ON TABLESPACE small TO elevator; ALTER ROLE elevator SET default_tablespace = small"
        )
        engine = open_storage(server.new_url(call_timeout=10)).open("db", {})
        engine.write([(PUT, b"k", b"v")])
        _, refused, error = write_until_refused(engine, 40)
        assert isinstance(error, EngineFileError)
        assert str(error) == "the database's disk is full; nothing was written"
        assert engine.multi_get([b"k", refused]) == [b"v", None]
        server.execute("SELECT 1")


def move_log(server, place):
    """Have a stopped server keep its write-ahead log elsewhere."""
    log = server.data / "pg_wal"
    for entry in log.iterdir():
        shutil.move(entry, place)
    for entry in place.rglob("*"):
        os.chown(entry, UNPRIVILEGED, UNPRIVILEGED)
    log.rmdir()
    log.symlink_to(place)


def test_a_log_without_space_is_told_and_nothing_is_lost(open_storage):
    with PostgreSql("max_wal_size = 32MB\nmin_wal_size = 32MB") as server:
        url = server.new_url(call_timeout=3)
        server.stop()
        with small_disk(server, "log-disk", 100) as place:
            move_log(server, place)
            server.start()
            engine = open_storage(url).open("db", {})
            engine.write([(PUT, b"k", b"v")])
            ballast = place / "ballast"
            with ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(place).free)
            written, unanswered, error = write_until_refused(engine, 40)
            for secret in ("127.0.0.1", str(server.port), str(place), "INSERT", "PANIC"):
                assert secret not in str(error)
            ballast.unlink()
            if server.has_ended():
                server.start()
            eventually(lambda: is_written(engine, b"after"), "it is written to again")
            assert [key for key in written if len(engine.get(key) or b"") != CHUNK] == []
            assert engine.get(unanswered) is None or isinstance(error, EngineOutcomeUnknown)


def is_written(engine, key):
    try:
        engine.write([(PUT, key, b"v")])
    except (EngineUnavailable, EngineOutcomeUnknown):
        return False
    return True
