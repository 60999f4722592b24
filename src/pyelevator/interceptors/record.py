"""Record and Replay: a journal of commands and answers as readable JSON lines, and answers from such a journal.

A line: ``{"command": ["PUT", {"key": "k", "value": "v"}], "uid": "...", "answer": {"payload": null}}``. Bytes that are
UTF-8 stand as strings, others as ``{"hex": "00ff"}``. A journal holds keys and values: keep it as you keep the data.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final, Self

from attrs import fields

from pyelevator.commands import COMMANDS, Command, Unknown
from pyelevator.errors import ElevatorError, ErrorCode, UsageError
from pyelevator.flows import Flow, Forward
from pyelevator.forks import ProcessLock
from pyelevator.messages import Request, Response, Status


class ReplayMismatch(ElevatorError):
    """A request is not the one that the journal has next; the message shows both."""


def _written(value: Any) -> Any:
    """A value as JSON can hold it."""
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return {"hex": value.hex()}
    if isinstance(value, (list, tuple)):
        return [_written(item) for item in value]
    if isinstance(value, dict):
        return {"map": [[_written(key), _written(item)] for key, item in value.items()]}
    return value


def _read(value: Any) -> Any:
    """The value that :func:`_written` wrote; every string was bytes."""
    if isinstance(value, str):
        return value.encode("utf-8")
    if isinstance(value, list):
        return [_read(item) for item in value]
    if isinstance(value, dict):
        return bytes.fromhex(value["hex"]) if "hex" in value else {_text(k): _read(v) for k, v in value["map"]}
    return value


def _text(key: Any) -> str:
    data: bytes = _read(key)
    return data.decode("utf-8", "surrogateescape")


def _command(command: Command[Any]) -> list[Any]:
    names = [attribute.name for attribute in fields(type(command)) if attribute.eq]
    return [command.verb, {name: _written(getattr(command, name)) for name in names}]


def line_of(request: Request[Any], response: Response) -> str:
    """The journal's line for a request and its response."""
    answer = {"payload": _written(response.payload)}
    if response.code is not None:
        answer = {"code": int(response.code), "message": response.message}
    answer |= {"status": int(response.status)} if response.status is Status.WARNING else {}
    answer |= {"more": True} if response.more else {}
    answer |= {"cursor": _written(response.cursor)} if response.cursor is not None else {}
    answer |= {"features": list(response.features)} if response.features else {}
    answer |= {"max_message": response.max_message} if response.max_message is not None else {}
    return json.dumps({"command": _command(request.command), "uid": request.uid, "answer": answer})


def _response(answer: dict[str, Any], request: Request[Any]) -> Response:
    if "code" in answer:
        return Response.failure(ErrorCode(answer["code"]), answer["message"], request.id)
    return Response(
        _read(answer["payload"]),
        Status(answer.get("status", Status.SUCCESS)),
        id=request.id,
        more=answer.get("more", False),
        features=tuple(answer.get("features", ())),
        cursor=_read(answer.get("cursor")),
        max_message=answer.get("max_message"),
    )


class Record:
    """Writes a journal of what passes through it; requests without an answer are not in it.

    >>> import io
    >>> from pyelevator import Elevator
    >>> journal = io.StringIO()
    >>> with Elevator(transport="fake", interceptors=[Record(journal)]) as E:
    ...     E.Put("k", "v")
    >>> print(journal.getvalue().splitlines()[1])  # doctest: +ELLIPSIS
    {"command": ["PUT", {"key": "k", "value": "v", "sync": false}], "uid": "...", "answer": {"payload": null}}
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._lock = ProcessLock()

    def __call__(self, request: Request[Any], forward: Forward) -> Flow[Response]:
        response = yield from forward(request)
        line = line_of(request, response)
        with self._lock():
            self._file.write(line + "\n")
            self._file.flush()
        return response


class Replay:
    """Answers from a journal, in its order, and forwards nothing.

    Raises, at the first request that is not the journal's next:
        ReplayMismatch: it says which line, what stands there and what came.

    >>> import io
    >>> from pyelevator import Elevator
    >>> journal = io.StringIO(
    ...     '''{"command": ["DBCONNECT", {"name": "default"}], "uid": null, "answer": {"payload": "u"}}
    ... {"command": ["GET", {"key": "k"}], "uid": "u", "answer": {"payload": "v"}}''')
    >>> with Elevator(transport="fake", interceptors=[Replay(journal)]) as E:
    ...     E.Get("k")
    'v'
    """

    def __init__(self, file: IO[str]) -> None:
        self._lines: Iterator[tuple[int, str]] = enumerate(file, 1)
        self._lock = ProcessLock()

    @classmethod
    def of(cls, path: str | Path) -> Self:
        """From a journal's file."""
        with Path(path).open(encoding="utf-8") as file:
            return cls(iter(file.readlines()))  # type: ignore[arg-type]

    def __call__(self, request: Request[Any], forward: Forward) -> Flow[Response]:  # noqa: ARG002
        yield from ()
        with self._lock():
            number, line = next(self._lines, (0, ""))
        entry: dict[str, Any] = _parsed(number, line) if line.strip() else {"command": _END}
        asked = {"command": _command(request.command), "uid": request.uid}
        if (entry["command"], entry.get("uid")) != (asked["command"], asked["uid"]):
            expected = {key: entry[key] for key in asked if key in entry}
            raise ReplayMismatch(f"line {number or 'behind the last'}: {expected} was expected, not {asked}")
        return _response(entry["answer"], request)


_END: Final = "the end of the journal"


def _parsed(number: int, line: str) -> dict[str, Any]:
    try:
        entry: dict[str, Any] = json.loads(line)
        verb, arguments = entry["command"]
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"line {number} of the journal cannot be read: {error}") from error
    if verb not in COMMANDS and "args" not in arguments:
        raise UsageError(f"line {number} of the journal has the unknown verb {verb!r}; {Unknown.__name__} needs args")
    return entry
