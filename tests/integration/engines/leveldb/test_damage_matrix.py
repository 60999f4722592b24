"""Each way a LevelDB can be hurt or starved, by each way to read it: the table in docs/damage.md.

A cell is ``rows`` if everything was right, and ``error`` if what could not be read was an error and all else was right.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support import damage, reads
from support.permissions import without_overrides
from support.programs import WAIT_TIMEOUT

BASES = {"table": (reads.Rows(3000), 0), "log": (reads.Rows(3030), 30), "long": (reads.Rows(3000, 1000), 0)}
"""Name -> the rows of a sound database, and how many of them are in its log; the others are in one table."""

TABLE, LOG, MANIFEST, CURRENT = "*.ldb", "*.log", "MANIFEST-*", "CURRENT"


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    """A directory of data directories, to be copied and hurt."""
    folder = tmp_path_factory.mktemp("bases")
    for name, (rows, log) in BASES.items():
        (folder / name).mkdir()
        rows.fill(str(folder / name / "default"), log=log)
    return folder


def one(database, pattern):
    (file,) = database.glob(pattern)
    return file


def flip(pattern, place):
    return lambda database: damage.flip(one(database, pattern), place)


def cut(pattern, share):
    """Leaves only a share of a file."""

    def hurt(database):
        file = one(database, pattern)
        content = file.read_bytes()
        file.write_bytes(content[: int(len(content) * share)])

    return hurt


def remove(pattern):
    return lambda database: one(database, pattern).unlink()


def forbid(pattern):
    return lambda database: one(database, pattern).chmod(0)


def nothing(_):
    pass


CASES = {
    "nothing": ("table", nothing, "no"),
    "a bit in the first data block": ("table", flip(TABLE, damage.first_block), "no"),
    "a bit in a middle data block": ("table", flip(TABLE, damage.middle_block), "no"),
    "a bit in the last data block": ("table", flip(TABLE, damage.last_block), "no"),
    "a bit in the index block": ("table", flip(TABLE, damage.index_block), "no"),
    "a bit in the filter": ("table", flip(TABLE, damage.filter_block), "no"),
    "a bit in the footer": ("table", flip(TABLE, damage.footer), "no"),
    "a table cut to half": ("table", cut(TABLE, 0.5), "no"),
    "a table without content": ("table", cut(TABLE, 0), "no"),
    "a table missing": ("table", remove(TABLE), "no"),
    "a table missing once it is open": ("table", nothing, "tables"),
    "blocks of an unknown type": ("table", lambda database: damage.retype(one(database, TABLE), 4), "no"),
    "a bit in the log": ("log", flip(LOG, damage.record), "no"),
    "a bit in a length in the log": ("log", flip(LOG, damage.record_length), "no"),
    "a hole of zeros in the log": ("log", lambda database: damage.zero(one(database, LOG), damage.record, 100), "no"),
    "the log missing": ("log", remove(LOG), "no"),
    "a bit in MANIFEST": ("log", flip(MANIFEST, damage.record), "no"),
    "a bit in a length in MANIFEST": ("log", flip(MANIFEST, damage.record_length), "no"),
    "MANIFEST without content": ("log", cut(MANIFEST, 0), "no"),
    "MANIFEST missing": ("log", remove(MANIFEST), "no"),
    "a bit in CURRENT": ("log", flip(CURRENT, lambda _: 14), "no"),
    "CURRENT without content": ("log", cut(CURRENT, 0), "no"),
    "CURRENT missing": ("log", remove(CURRENT), "no"),
    "no file descriptor to open it": ("log", nothing, "descriptors before"),
    "no file descriptor once it is open": ("table", nothing, "descriptors after"),
    "no memory to map a table": ("long", nothing, "maps"),
    "no right to read a table": ("table", forbid(TABLE), "no"),
    "no right to read the log": ("log", forbid(LOG), "no"),
    "no right to read MANIFEST": ("log", forbid(MANIFEST), "no"),
    "no right to read CURRENT": ("log", forbid(CURRENT), "no"),
    "no right to the directory": ("log", lambda database: database.chmod(0), "no"),
}
"""What is hurt -> the database, what hurts it, and what the process is short of."""


def run(to_read, to_repair, starved, rows):
    """What a process says, that is bound by the modes of files and starves, of reading one directory and repairing another."""
    command = [sys.executable, reads.__file__, str(to_read), str(to_repair), starved, *rows.sizes]
    process = without_overrides(lambda: subprocess.run(command, capture_output=True, timeout=WAIT_TIMEOUT, check=False))
    assert process.returncode == 0, process.stderr.decode()
    return [json.loads(line) for line in process.stdout.splitlines()]


def restore(folder):
    """Gives the rights back."""
    (folder / "default").chmod(0o700)
    for file in (folder / "default").iterdir():
        file.chmod(0o700)


@pytest.fixture
def hurt(bases, tmp_path):
    """Makes a data directory of a case."""

    def make(name, case):
        base, hurting, _ = CASES[case]
        folder = Path(shutil.copytree(bases / base, tmp_path / name))
        hurting(folder / "default")
        return folder

    return make


DOC = Path(__file__).parents[4] / "docs" / "damage.md"
COLUMNS = [*reads.READS, "backup", "`repairdb`, then"]


def documented():
    """What is hurt -> the cells of its row in the document."""
    lines = next(part for part in DOC.read_text().split("\n\n") if part.startswith("|")).splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {name: cells for name, *cells in rows[2:]}, rows[0][1:]


def test_the_table_has_every_case_and_every_way_to_read():
    rows, columns = documented()
    assert columns == COLUMNS
    assert list(rows) == list(CASES)
    assert {cell for cells in rows.values() for cell in cells[:-1]} == {"rows", "error"}


@pytest.mark.parametrize("case", CASES)
def test_reads_give_the_right_rows_or_an_error_as_documented(hurt, case):
    base, _, starved = CASES[case]
    rows, _ = BASES[base]
    to_read, to_repair = hurt("read", case), hurt("repaired", case)
    found, refusal = run(to_read, to_repair, starved, rows)
    restore(to_read)
    restore(to_repair)
    repaired = "refused" if refusal else reads.left(str(to_repair), rows)
    cells, _ = documented()
    assert [*found.values(), repaired] == cells[case], (
        f"| {case} | {' | '.join([*found.values(), repaired])} | {refusal}"
    )
