"""Reports of servers about administration, and how they travel: as JSON, to which later versions may add."""

from collections.abc import Sequence
from typing import Any

import attrs

from pyelevator._json import decode_json, encode_json, to_count, to_list, to_seconds, to_text


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
        return decode_json(data, lambda told: cls(to_count(told["size"]), to_count(told["linked"])), "BACKUP")


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
    return decode_json(data, lambda told: list(map(_decode_task, to_list(told))), "PROGRESS")


def _decode_task(told: Any) -> TaskProgress:
    return TaskProgress(
        to_text(told["task"]),
        to_text(told["database"]),
        to_seconds(told["seconds"]),
        to_count(told["done"]),
        to_count(told["total"]),
    )


def encode_sizes(sizes: Sequence[int]) -> bytes:
    """Return the answer to SIZES as it travels."""
    return encode_json(sizes)


def decode_sizes(data: bytes) -> list[int]:
    """Return the sizes in the answer to SIZES.

    Raises:
        MalformedMessage: it is something else.
    """
    return decode_json(data, lambda told: list(map(to_count, to_list(told))), "SIZES")
