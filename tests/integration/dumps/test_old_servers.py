"""Databases of old servers, dumped and loaded: the way to another machine when a server is replaced."""

import io

import pytest

from pyelevator import Elevator
from pyelevator.dumps import BinaryWriter, DumpError, dump, load, open_dump
from pyelevator.transports import FakeTransport
from support.dumped import content, fill
from support.old_servers import OldServer

PAIRS = {b"key:%04d" % number: b"value %d" % number for number in range(700)}
DIALECTS = {"0.5": "classic", "0.7": "flat"}


@pytest.fixture(params=DIALECTS)
def old(request):
    with Elevator(
        transport=OldServer(request.param), dialect=DIALECTS[request.param], encoding=None, timeout=30
    ) as client:
        yield client


def dumped(client, **options):
    file = io.BytesIO()
    dump(client, BinaryWriter(file), ["default"], **options)
    file.seek(0)
    return file


def test_the_pairs_of_an_old_server_come_to_a_new_one(old, target):
    fill(old, PAIRS)
    assert load(target, open_dump(dumped(old, snapshot=False))).pairs == len(PAIRS)
    assert content(target) == PAIRS


def test_pairs_go_back_to_an_old_server_as_well(old, source):
    fill(source, PAIRS)
    assert load(old, open_dump(dumped(source))).pairs == len(PAIRS)
    assert content(old) == PAIRS


def test_an_old_server_has_no_moment_and_says_what_to_do(old):
    fill(old, PAIRS)
    with pytest.raises(DumpError, match=r"--no-snapshot dumps the pages as they are when they are read"):
        dumped(old)


def test_a_view_of_a_prefix_is_dumped_without_it():
    with Elevator(transport=FakeTransport(), encoding=None) as client:
        fill(client, {b"a:1": b"x", b"b:1": b"y"})
        view = client.prefix("a:")
        file = io.BytesIO()
        dump(view, BinaryWriter(file), ["default"])
        file.seek(0)
        assert [list(record.read()) for record in open_dump(file) if hasattr(record, "read")] == [[(b"1", b"x")]]
