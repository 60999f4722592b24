"""What servers report of administration, and how it travels: as JSON, to which later versions may add."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

import attrs

from pyelevator.errors import MalformedMessage

T = TypeVar("T")


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
        return json.dumps(attrs.asdict(self)).encode()

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

    @classmethod
    def decode(cls, told: Any) -> "TaskProgress":
        """Return one of the decoded JSON objects of an answer."""
        return cls(
            str(told["task"]),
            str(told["database"]).encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape"),
            float(told["seconds"]),
            int(told["done"]),
            int(told["total"]),
        )
