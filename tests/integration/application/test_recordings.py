"""Every recorded request of the old servers: exactly one answer, and the old one where that was sensible."""

import json
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from pyelevator.application import Application
from pyelevator.codec import codec_for, dialect_of
from pyelevator.commands import (
    DELETE,
    PUT,
    Batch,
    DbList,
    DbMount,
    DbRepair,
    DbUmount,
    Exists,
    Get,
    MGet,
    Ping,
    Unknown,
)
from pyelevator.errors import ErrorCode, ProtocolError
from pyelevator.messages import CallContext, Request, Response, Status

VECTORS = Path(__file__).parents[2] / "vectors"
RELATIVE = (Status.FAILURE, ErrorCode.DATABASE, "Canno't create database from relative path", None)
NAMELESS = (Status.FAILURE, ErrorCode.DATABASE, "A database needs a name", None)
DONE = (Status.SUCCESS, None, "", None)

SETUP = {
    "GET.32B_value_raw16": (PUT, b"p32", b"x" * 32),
    "GET.200B_value_raw16": (PUT, b"p200", b"x" * 200),
    "GET.70000B_raw32": (PUT, b"p70k", b"x" * 70_000),
}
"""What had been written before, and was not recorded."""

OURS: dict[str, dict[str, tuple[Any, ...]]] = {
    "classic": {
        "GET.empty_value": (Status.SUCCESS, None, "", b""),
        "MGET.duplicates": (Status.SUCCESS, None, "", [b"v1", b"v1", b"v2"]),
        "DBCREATE.relpath_a_slash_b": RELATIVE,
        "DBCREATE.relpath_a_slash_b_parent_exists": RELATIVE,
        "DBCREATE.empty_name": NAMELESS,
        "DBUMOUNT.dbu": (Status.FAILURE, ErrorCode.DATABASE, "Database dbu does not exist", None),
        "DBDROP": (Status.FAILURE, ErrorCode.DATABASE, "Database dbu does not exist", None),
    },
    "flat": {
        "MGET.missing": (Status.WARNING, None, "", [b"v1", None, b"v3"]),
        "MGET.dup": (Status.SUCCESS, None, "", [b"v1", b"v1"]),
        "MGET.reversed": (Status.SUCCESS, None, "", [b"v3", b"v1"]),
        "DBCREATE.relpath": RELATIVE,
        "DBCREATE.empty_name": NAMELESS,
        "DBCREATE.again": (Status.FAILURE, ErrorCode.DATABASE, "Database db1 already exists", None),
        "DBLIST.2": (Status.SUCCESS, None, "", [b"default", b"db1"]),
    },
}
"""Where ours differs from what was recorded; dbu had been made in an earlier run of the old server."""

REFUSED = {"MGET.string_arg", "MGET.flat_args", "DBCREATE.no_uid_three_args", "PUT.nil_value", "BATCH.bad_signal"}
"""What the codecs refuse though an old server took it."""

FRESH_UID = {"DBCONNECT", "DBCONNECT.default"}


def recordings(dialect):
    return [json.loads(line) for line in (VECTORS / f"{dialect}.jsonl").read_text().splitlines()]


def frames(lines):
    return [bytes.fromhex(line) for line in lines]


class OldWorld:
    """An application as the recorded servers were when they had just been started."""

    def __init__(self):
        self.application = Application.in_memory()
        self.uid = self.application.catalog.uid_of("default")
        self.write([(PUT, b"k%d" % i, b"v%d" % i) for i in range(10)] + [(PUT, b"empty", b"")])

    def write(self, ops):
        assert self.application(Request(Batch(ops), self.uid)).status is Status.SUCCESS

    def answer(self, request, setup):
        """The uids of the recordings stand for 'default'."""
        self.write([setup] if setup else [])
        answer = self.application(evolve(request, uid=self.uid if request.uid else None, id=3))
        self.write([(DELETE, setup[1])] if setup else [])
        return answer


def replay(dialect):
    """``(recording, request, answer)`` of all that can be decoded; an old server that was restarted is a new world."""
    world, uid = OldWorld(), None
    for recording in recordings(dialect):
        sent = frames(recording["request"])
        try:
            request = evolve(codec_for(dialect_of(sent)).decode_request(sent), context=CallContext())
        except ProtocolError:
            succeeded = recorded(recording, None).status is not Status.FAILURE
            assert not succeeded or recording["name"] in REFUSED, recording["name"]
            continue
        if request.uid not in (None, uid):
            world, uid = OldWorld(), request.uid
        yield recording, request, world.answer(request, SETUP.get(recording["name"]))


def decoded(payload):
    """Pairs come out of a codec as lists."""
    return [list(row) if isinstance(row, tuple) else row for row in payload] if isinstance(payload, list) else payload


def recorded(recording, request):
    reply = frames(recording["replies"][0])
    codec = codec_for("classic" if len(reply) == 2 else "flat")
    return codec.decode_response(reply, request or Request(Batch([])))


@pytest.mark.parametrize("dialect", ["classic", "flat"])
def test_every_recorded_request_gets_one_answer_that_can_be_sent(dialect):
    for recording, request, answer in replay(dialect):
        assert type(answer) is Response, recording["name"]
        assert answer.id == 3
        assert not answer.message.startswith("internal error"), recording["name"]
        assert codec_for(dialect).encode_response(answer, request)


@pytest.mark.parametrize("dialect", ["classic", "flat"])
def test_recorded_requests_get_the_recorded_responses(dialect):
    compared = 0
    for recording, request, answer in replay(dialect):
        name = recording["name"]
        if name in FRESH_UID:
            continue
        old = recorded(recording, request)
        expected = OURS[dialect].get(name, (old.status, old.code, old.message, old.payload))
        assert (answer.status, answer.code, answer.message, decoded(answer.payload)) == expected, name
        compared += 1
    assert compared > {"classic": 90, "flat": 30}[dialect]


TAKEN_BY_OURS = [
    (Get(b"k1"), None, (Status.FAILURE, ErrorCode.RUNTIME, "Database (no uid) doesn't exist", None)),
    (MGet([]), "default", (Status.SUCCESS, None, "", [])),
    (DbList(), None, (Status.SUCCESS, None, "", [b"default"])),
    (DbMount("nope"), None, (Status.FAILURE, ErrorCode.DATABASE, "Database nope does not exist", None)),
    (DbUmount("nope"), None, (Status.FAILURE, ErrorCode.DATABASE, "Database nope does not exist", None)),
    (DbMount("default"), "default", DONE),
    (DbRepair(), "default", DONE),
    (Ping(), None, (Status.SUCCESS, None, "", b"PONG")),
    (Exists(b"k1"), "default", (Status.SUCCESS, None, "", True)),
    (Unknown("FOO", []), None, (Status.FAILURE, ErrorCode.KEY, "Command FOO not handled", None)),
]
"""Requests that one old server or the other does not take (docs/protocol.md), and what ours answers."""


@pytest.mark.parametrize(("command", "database", "expected"), TAKEN_BY_OURS)
def test_what_old_servers_do_not_take_is_answered(command, database, expected):
    world = OldWorld()
    answer = world.application(Request(command, database and world.uid))
    assert (answer.status, answer.code, answer.message, answer.payload) == expected
