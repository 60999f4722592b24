"""The exception tree: as its docstring draws it, catchable as what the old client raised, and fit for pickling."""

import inspect
import pickle
import re

import pytest

from pyelevator import errors
from pyelevator.arguments.batches import BadSignal
from pyelevator.codec import UnsupportedByDialect
from pyelevator.commands import COMMANDS, Batch, DbConnect, Get, Put
from pyelevator.errors import (
    SERVER_ERRORS,
    ArgumentTypeError,
    BadRequest,
    ConnectFailed,
    ConnectionLost,
    ConnectTimeout,
    DatabaseError,
    ElevatorError,
    ErrorCode,
    KeyNotFound,
    LimitExceeded,
    MalformedMessage,
    MissingExtra,
    PoolTimeout,
    ProtocolError,
    RequestTimeout,
    ServerError,
    ServerOSError,
    ServerRuntimeError,
    SignalError,
    TransportError,
    UnknownCommand,
    UsageError,
    WrongIndex,
    WrongType,
    WrongValue,
)

CLASSES = {
    name: kind for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, ElevatorError)
}


def drawn_tree():
    """Class -> (its parent, the text beside it), of the tree in the docstring; four columns are one level."""
    tree, parents = {}, {}
    for line in errors.__doc__.splitlines():
        node = re.match(r"    ([│├└─ ]*)(\w+)(.*)", line)
        if node:
            level = len(node[1]) // 4
            parents[level] = node[2]
            tree[node[2]] = (parents.get(level - 1), node[3])
    return tree


def test_the_docstring_draws_every_class():
    assert drawn_tree().keys() == CLASSES.keys()


@pytest.mark.parametrize("name", sorted(CLASSES.keys() - {"ElevatorError"}))
def test_a_class_stands_where_the_docstring_draws_it(name):
    parent, _ = drawn_tree()[name]
    assert CLASSES[parent] in CLASSES[name].__bases__


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_class_is_the_builtin_that_the_docstring_names(name):
    _, text = drawn_tree()[name]
    named = {builtin for builtin in re.findall(r"\b[A-Z]\w+Error\b", text) if builtin not in CLASSES}
    bases = {base.__name__ for base in CLASSES[name].__bases__} - CLASSES.keys() - {"Exception"}
    assert named == bases


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (UsageError, ValueError),
        (ArgumentTypeError, TypeError),
        (MissingExtra, ImportError),
        (RequestTimeout, TimeoutError),
        (ConnectFailed, ConnectionError),
        (ConnectTimeout, TimeoutError),
        (ConnectTimeout, RequestTimeout),
        (ConnectTimeout, ConnectionError),
        (PoolTimeout, TimeoutError),
        (ConnectionLost, TimeoutError),
        (ConnectionLost, ConnectionError),
        (WrongType, TypeError),
        (KeyNotFound, KeyError),
        (UnknownCommand, KeyError),
        (WrongValue, ValueError),
        (WrongIndex, IndexError),
        (ServerRuntimeError, RuntimeError),
        (ServerOSError, OSError),
    ],
)
def test_an_error_is_caught_as_the_builtin_that_the_old_client_raised(kind, builtin):
    assert issubclass(kind, builtin)


@pytest.mark.parametrize("kind", [WrongType, KeyNotFound, DatabaseError, SignalError, BadRequest, ServerOSError])
def test_a_servers_answer_is_no_transport_error(kind):
    assert not issubclass(kind, (TransportError, ProtocolError, UsageError))


@pytest.mark.parametrize(
    ("code", "number", "kind"),
    [
        (ErrorCode.TYPE, 0, WrongType),
        (ErrorCode.KEY, 1, UnknownCommand),
        (ErrorCode.VALUE, 2, WrongValue),
        (ErrorCode.INDEX, 3, WrongIndex),
        (ErrorCode.RUNTIME, 4, ServerRuntimeError),
        (ErrorCode.OS, 5, ServerOSError),
        (ErrorCode.DATABASE, 6, DatabaseError),
        (ErrorCode.SIGNAL, 7, SignalError),
        (ErrorCode.REQUEST, 8, BadRequest),
    ],
)
def test_a_code_has_its_number_and_its_class(code, number, kind):
    assert (code.value, SERVER_ERRORS[code], kind("x").code) == (number, kind, code)


def test_every_code_has_a_class():
    assert SERVER_ERRORS.keys() == set(ErrorCode)


@pytest.mark.parametrize(
    ("command", "code", "kind", "text"),
    [
        (Get("k"), ErrorCode.KEY, KeyNotFound, "Key not found"),
        (Get("k"), ErrorCode.RUNTIME, ServerRuntimeError, "as answered"),
        (Put("k", "v"), ErrorCode.KEY, UnknownCommand, "as answered"),
        (DbConnect("d"), ErrorCode.DATABASE, DatabaseError, "Database does not exist"),
        (Batch([]), ErrorCode.SIGNAL, SignalError, "as answered"),
    ],
)
def test_a_failure_becomes_the_documented_error(command, code, kind, text):
    error = command.error(code, "as answered")
    assert type(error) is kind
    assert (str(error), error.message, error.code, error.detail) == (text, text, code, "as answered")


@pytest.mark.parametrize("verb", COMMANDS)
@pytest.mark.parametrize("code", ErrorCode)
def test_every_failure_of_every_command_is_an_error_with_its_code(verb, code):
    kind, _ = COMMANDS[verb].errors.get(code, (SERVER_ERRORS[code], None))
    assert kind("x", code).code is code


@pytest.mark.parametrize("kind", [ServerError, *SERVER_ERRORS.values(), KeyNotFound])
def test_a_server_error_shows_its_message_and_survives_pickling(kind):
    error = pickle.loads(pickle.dumps(kind("Key not found", ErrorCode.VALUE, "Key 'k' does not exist")))
    assert type(error) is kind
    assert str(error) == "Key not found"
    assert (error.message, error.code, error.detail) == ("Key not found", ErrorCode.VALUE, "Key 'k' does not exist")


def test_the_text_of_a_missing_key_has_no_quotes():
    assert str(KeyNotFound("Key not found")) == "Key not found"


def test_without_a_detail_the_message_is_the_detail():
    assert DatabaseError("Database db1 already exists").detail == "Database db1 already exists"


@pytest.mark.parametrize(
    "kind", [RequestTimeout, ConnectFailed, ConnectTimeout, ConnectionLost, PoolTimeout, MissingExtra, UsageError]
)
def test_another_error_shows_its_message_and_survives_pickling(kind):
    error = pickle.loads(pickle.dumps(kind("no answer within 1.0 s")))
    assert (type(error), str(error)) == (kind, "no answer within 1.0 s")


@pytest.mark.parametrize("kind", [ProtocolError, MalformedMessage, LimitExceeded])
def test_a_protocol_error_keeps_its_code_and_id_in_a_pickle(kind):
    error = pickle.loads(pickle.dumps(kind("x", code=ErrorCode.SIGNAL, request_id=7)))
    assert (str(error), error.code, error.request_id) == ("x", ErrorCode.SIGNAL, 7)


def test_a_protocol_error_has_a_code_to_answer_of_its_own():
    assert MalformedMessage("x").code is ErrorCode.REQUEST
    assert LimitExceeded("x").code is ErrorCode.VALUE
    assert MalformedMessage("x").request_id is None


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (BadSignal(9), "Unrecognized signal received : 9"),
        (BadSignal(b"FOO"), "Unrecognized signal received : 'FOO'"),
        (BadSignal(None), "Unrecognized signal received : None"),
        (UnsupportedByDialect("no PING"), "no PING"),
    ],
)
def test_the_narrower_usage_errors_survive_pickling_too(error, text):
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy)) == (type(error), text)
    assert isinstance(error, UsageError)
