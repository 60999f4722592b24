"""A server process that gets no file descriptor any more says so, to each way to read, and recovers by itself."""

import resource
from pathlib import Path

import pytest

from pyelevator.errors import ServerOSError
from pyelevator.testing.servers import ServerProcess
from support import damage, reads

ROWS = reads.Rows(3000)


@pytest.fixture
def filled(tmp_path):
    """A data directory whose database has all of its pairs in one table."""
    ROWS.fill(str(tmp_path / "default"))
    return tmp_path


def address(server):
    return server.urls[0].partition("://")[2]


def without_descriptors(pid):
    """From now on the process gets no further file descriptor; returns what ends that."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = {int(descriptor.name) for descriptor in Path(f"/proc/{pid}/fd").iterdir()}
    free = next(number for number in range(len(used) + 1) if number not in used)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (free, before[1]))
    return lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def outcomes(E):
    return {name: reads.outcome(E, calls(ROWS)) for name, calls in reads.READS.items()}


def test_reads_fail_without_descriptors_and_work_again_with_them(filled, make):
    with ServerProcess(filled) as server, make(endpoint=address(server), timeout=20) as E:
        E.mount("default")
        recover = without_descriptors(server.pid)
        assert outcomes(E) == dict.fromkeys(reads.READS, "error")
        with pytest.raises(ServerOSError, match="Too many open files"):
            E.MGet(ROWS.keys)
        recover()
        assert outcomes(E) == dict.fromkeys(reads.READS, "rows")


def test_a_damaged_last_block_is_an_error_to_each_read_over_a_socket(filled, make):
    (table,) = (filled / "default").glob("*.ldb")
    damage.flip(table, damage.last_block)
    with ServerProcess(filled) as server, make(endpoint=address(server), timeout=20) as E:
        assert outcomes(E) == dict.fromkeys(reads.READS, "error")
        assert E.Get(ROWS.keys[0]) == ROWS.values[0]
        E.repairdb()
        left = E.Range()
        assert left == ROWS.pairs[: len(left)]
        assert len(left) == 2997
