"""Requests and responses are data."""

import pickle

import pytest
from attrs import evolve

from pyelevator.commands import Get
from pyelevator.errors import DatabaseError, ErrorCode, KeyNotFound
from pyelevator.messages import CallContext, Request, Response, Status
from support.optional import unwrap


@pytest.mark.parametrize(("status", "number"), [(Status.SUCCESS, 1), (Status.FAILURE, -1), (Status.WARNING, -2)])
def test_a_status_has_its_number_on_the_wire(status, number):
    assert status == number


def test_there_are_three_statuses():
    assert len(Status) == 3


def test_a_request_is_a_command_and_nothing_else_unless_it_says_so():
    request = Request(Get("k"))
    assert (request.command, request.uid, request.id, request.compression) == (Get("k"), None, None, False)


def test_a_response_is_a_success_unless_it_says_otherwise():
    response = Response(b"v")
    assert (response.payload, response.status, response.code, response.message) == (b"v", Status.SUCCESS, None, "")
    assert (response.id, response.more, response.features) == (None, False, ())


def test_a_failure_has_a_code_a_message_and_no_payload():
    failure = Response.failure(ErrorCode.KEY, "Key 'k' does not exist", 7)
    assert failure == Response(None, Status.FAILURE, ErrorCode.KEY, "Key 'k' does not exist", 7)


def test_a_failure_may_be_made_of_the_error_that_it_raises():
    failure = Response.from_error(DatabaseError("Database d already exists"), 7)
    assert failure == Response.failure(ErrorCode.DATABASE, "Database d already exists", 7)
    error = Get("k").error(unwrap(failure.code), failure.message)
    assert (type(error), str(error)) == (DatabaseError, "Database d already exists")


def test_a_refined_error_comes_back_as_itself():
    failure = Response.from_error(KeyNotFound("Key 'k' does not exist"))
    assert type(Get("k").error(unwrap(failure.code), failure.message)) is KeyNotFound


def test_a_request_in_a_context_is_a_copy_that_has_it():
    request, context = Request(Get("k"), "u", 7, True, bin=True), CallContext("alice", b"c1")
    asked = request.with_context(context)
    assert asked == evolve(request, context=context) != request
    assert (asked.context, asked.bin, asked.compression) == (context, True, True)
    assert (request.context.peer, request.context.connection) == (None, None)


@pytest.mark.parametrize("message", [Request(Get("k"), "u", 7), Response(b"v", id=7)])
def test_messages_are_frozen_equal_by_value_and_picklable(message):
    with pytest.raises(AttributeError):
        message.id = 8
    assert pickle.loads(pickle.dumps(message)) == message
    assert evolve(message, id=8) != message
    assert evolve(message, id=8).id == 8
