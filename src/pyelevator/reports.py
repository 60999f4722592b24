"""What servers report of administration, and how it travels: as JSON, to which later versions may add."""

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import attrs

from pyelevator.errors import MalformedMessage

T = TypeVar("T")


def encode_json(value: Any) -> bytes:
    """Return a report as it travels."""
    return json.dumps(value).encode()


def decode_json(data: bytes, build: Callable[[Any], T], verb: str) -> T:
    """Return what ``build`` makes of the JSON in an answer.

    Raises:
        MalformedMessage: it is something else.
    """
    try:
        return build(json.loads(data))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise MalformedMessage(f"the answer to {verb} holds something else than its report") from error


@attrs.frozen
class BackupReport:
    """The report of a backup.

    Attributes:
        size: bytes of its files.
        linked: of these, the bytes that take no space of their own, because they are links to the tables of the
            database.
    """

    size: int = 0
    linked: int = 0

    def encode(self) -> bytes:
        """Return it as it travels."""
        return encode_json(attrs.asdict(self))

    @classmethod
    def decode(cls, data: bytes) -> "BackupReport":
        """Return what ``encode`` made.

        Raises:
            MalformedMessage: it is something else.
        """
        return decode_json(data, lambda told: cls(int(told["size"]), int(told["linked"])), "BACKUP")


@attrs.frozen
class TaskProgress:
    """How far a long task of a server has come.

    Attributes:
        task: ``"backup"``, ``"compact"`` or ``"repair"``.
        database: the name of the database.
        seconds: since it began.
        done: bytes that it is through with, about.
        total: of so many, about; 0 as long as that is not known.
    """

    task: str
    database: str
    seconds: float
    done: int = 0
    total: int = 0


def encode_tasks(tasks: Sequence[TaskProgress]) -> bytes:
    """Return tasks as they travel."""
    return encode_json(list(map(attrs.asdict, tasks)))


def decode_tasks(data: bytes) -> list[TaskProgress]:
    """Return what ``encode_tasks`` made.

    Raises:
        MalformedMessage: it is something else.
    """
    return decode_json(data, lambda told: list(map(_decode_task, told)), "PROGRESS")


def _decode_task(told: Any) -> TaskProgress:
    return TaskProgress(
        str(told["task"]), str(told["database"]), float(told["seconds"]), int(told["done"]), int(told["total"])
    )


def decode_sizes(data: bytes) -> list[int]:
    """Return the sizes in the answer to SIZES.

    Raises:
        MalformedMessage: it is something else.
    """
    return decode_json(data, lambda told: list(map(int, told)), "SIZES")
