"""Recordings of requests and responses as readable JSON lines, and responses from such a journal.

A line: ``{"command": ["PUT", {"key": "k", "value": "v"}], "uid": "...", "answer": {"payload": null}}``. Bytes that are
UTF-8 become strings, others ``{"hex": "00ff"}``. A journal holds keys and values: protect it as you protect the data.
"""

import io
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final, Self

from attrs import fields

from pyelevator.commands import COMMANDS, Command, Unknown
from pyelevator.errors import ElevatorError, ErrorCode, UsageError
from pyelevator.flows import Flow, Forward
from pyelevator.forks import ProcessLock
from pyelevator.messages import Request, Response, Status


class ReplayMismatch(ElevatorError):
    """A request differs from the next one in the journal; the message shows both."""


def _data_to_json(value: object) -> object:
    """Convert a value to what JSON can hold."""
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return {"hex": value.hex()}
    if isinstance(value, (list, tuple)):
        return [_data_to_json(item) for item in value]
    if isinstance(value, dict):
        return {"map": [[_data_to_json(key), _data_to_json(item)] for key, item in value.items()]}
    return value


def _data_from_json(value: Any) -> Any:
    """Convert back what :func:`_data_to_json` made; every string was bytes."""
    if isinstance(value, str):
        return value.encode("utf-8")
    if isinstance(value, list):
        return [_data_from_json(item) for item in value]
    if isinstance(value, dict):
        return (
            bytes.fromhex(value["hex"])
            if "hex" in value
            else {_key_from_json(k): _data_from_json(v) for k, v in value["map"]}
        )
    return value


def _key_from_json(key: Any) -> str:
    data: bytes = _data_from_json(key)
    return data.decode("utf-8", "surrogateescape")


def _command_to_json(command: Command) -> list[Any]:
    names = [attribute.name for attribute in fields(type(command)) if attribute.eq]
    return [command.verb, {name: _data_to_json(getattr(command, name)) for name in names}]


_FIELD_DECODERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "status": Status,
    "more": bool,
    "cursor": _data_from_json,
    "features": tuple,
    "max_message": int,
}
"""Fields of a success that stand in a line if they differ from their defaults, and what reads them."""

_PLAIN_RESPONSE: Final = Response()


def to_line(request: Request, response: Response) -> str:
    """Return the journal's line for a request and its response."""
    if response.code is not None:
        answer = {"code": int(response.code), "message": response.message}
    else:
        answer = {"payload": _data_to_json(response.payload)}
        rest = {name: getattr(response, name) for name in _FIELD_DECODERS}
        answer |= {
            name: _data_to_json(value) for name, value in rest.items() if value != getattr(_PLAIN_RESPONSE, name)
        }
    return json.dumps({"command": _command_to_json(request.command), "uid": request.uid, "answer": answer})


def _response_from_json(answer: dict[str, Any], request: Request) -> Response:
    if "code" in answer:
        return Response.failure(ErrorCode(answer["code"]), answer["message"], request.id)
    rest = {name: read(answer[name]) for name, read in _FIELD_DECODERS.items() if name in answer}
    return Response(_data_from_json(answer["payload"]), id=request.id, **rest)


class Recorder:
    """An interceptor that writes a journal; requests without a response are not in it.

    Args:
        file: text lines are written to it and flushed.

    >>> import io
    >>> from pyelevator import Elevator
    >>> journal = io.StringIO()
    >>> with Elevator(transport="fake", interceptors=[Recorder(journal)]) as E:
    ...     E.Put("k", "v")
    >>> print(journal.getvalue().splitlines()[1])  # doctest: +ELLIPSIS
    {"command": ["PUT", {"key": "k", "value": "v", "sync": false}], "uid": "...", "answer": {"payload": null}}
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._lock = ProcessLock()

    def __call__(self, request: Request, forward: Forward) -> Flow[Response]:
        response = yield from forward(request)
        line = to_line(request, response)
        with self._lock():
            self._file.write(line + "\n")
            self._file.flush()
        return response


class Replayer:
    """An interceptor that responds from a journal, in its order, and forwards nothing.

    At the first request that is not the journal's next it raises a ReplayMismatch, which names the line, the recorded
    request and the actual one.

    Args:
        file: the lines of the journal.

    >>> import io
    >>> from pyelevator import Elevator
    >>> journal = io.StringIO(
    ...     '''{"command": ["DBCONNECT", {"name": "default"}], "uid": null, "answer": {"payload": "u"}}
    ... {"command": ["GET", {"key": "k"}], "uid": "u", "answer": {"payload": "v"}}''')
    >>> with Elevator(transport="fake", interceptors=[Replayer(journal)]) as E:
    ...     E.Get("k")
    'v'
    """

    def __init__(self, file: IO[str]) -> None:
        self._lines: Iterator[tuple[int, str]] = enumerate(file, 1)
        self._lock = ProcessLock()

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Read a journal from a file.

        Args:
            path: of the journal that a Recorder wrote.

        Raises:
            OSError: it cannot be read.
        """
        return cls(io.StringIO(Path(path).read_text(encoding="utf-8")))

    def __call__(self, request: Request, forward: Forward) -> Flow[Response]:  # noqa: ARG002
        yield from ()
        with self._lock():
            number, line = next(self._lines, (0, ""))
        entry: dict[str, Any] = _parse_line(number, line) if line.strip() else {"command": _JOURNAL_END}
        asked = {"command": _command_to_json(request.command), "uid": request.uid}
        if (entry["command"], entry.get("uid")) != (asked["command"], asked["uid"]):
            expected = {key: entry[key] for key in asked if key in entry}
            raise ReplayMismatch(f"line {number or 'behind the last'}: {expected} was expected, not {asked}")
        return _response_from_json(entry["answer"], request)


_JOURNAL_END: Final = "the end of the journal"


def _parse_line(number: int, line: str) -> dict[str, Any]:
    try:
        entry: dict[str, Any] = json.loads(line)
        verb, arguments = entry["command"]
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"line {number} of the journal cannot be read: {error}") from error
    if verb not in COMMANDS and "args" not in arguments:
        raise UsageError(f"line {number} of the journal has the unknown verb {verb!r}; {Unknown.__name__} needs args")
    return entry
