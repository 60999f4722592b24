"""Reports of servers about administration, and how they travel: as JSON, to which later versions may add."""

from attrs import field, frozen

from pyelevator._json import Report, decode_json, to_count, to_list, to_seconds, to_text


@frozen
class BackupReport(Report):
    """The report of a backup.

    Attributes:
        size: bytes of its files.
        linked: of these, the bytes that take no space of their own, because they are links to the tables of the
            database.
    """

    wire_verb = "BACKUP"
    size: int = field(default=0, converter=to_count)
    linked: int = field(default=0, converter=to_count)


@frozen
class TaskProgress(Report):
    """The progress of a long task of a server.

    Attributes:
        task: ``"backup"``, ``"compact"`` or ``"repair"``.
        database: the name of the database.
        seconds: since it began.
        done: bytes that it is through with, about.
        total: of so many, about; 0 as long as that is not known.
    """

    wire_verb = "PROGRESS"
    task: str = field(converter=to_text)
    database: str = field(converter=to_text)
    seconds: float = field(converter=to_seconds)
    done: int = field(default=0, converter=to_count)
    total: int = field(default=0, converter=to_count)


def decode_sizes(data: bytes) -> list[int]:
    """Return the sizes in the answer to SIZES.

    Raises:
        MalformedMessage: it is something else.
    """
    return decode_json(data, lambda decoded: list(map(to_count, to_list(decoded))), "SIZES")
