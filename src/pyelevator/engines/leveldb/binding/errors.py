"""Translates errors of LevelDB's library and of the file system to the errors of the engine seam."""

import re
from collections.abc import Sequence
from types import TracebackType
from typing import Final

from attrs import frozen

from pyelevator.engines.base import EngineDamaged, EngineError, EngineFileError, EngineForeign
from pyelevator.engines.base.errors import describe_damage
from pyelevator.engines.leveldb.binding.library import LIBRARIES

_FAILURES: Final[Sequence[tuple[str, type[EngineError], str]]] = (
    ("already held by process", EngineError, "{path} is open already"),
    ("temporarily unavailable", EngineError, "{path} is in use by another process"),
    (
        "bad block type",  # the checksum was right, or LevelDB would have said that it is not
        EngineForeign,
        "{path} has blocks of a compression that this LevelDB lacks ({detail}); a repair would lose them",
    ),
    (
        "does not match existing comparator",
        EngineForeign,
        "{path} is in another order of keys than bytewise, which only the program that made it knows ({detail})",
    ),
    ("Corruption", EngineDamaged, describe_damage("{path}", "{detail}")),
    (r"\.(ldb|sst): Invalid argument", EngineDamaged, describe_damage("{path}", "a table is cut off: {detail}")),
    ("is closed|closed LevelDB", EngineError, "{path} is closed"),
    ("No such file or directory", EngineFileError, "No such file or directory: {path} ({detail})"),
    (
        "No space left|File too large|quota exceeded",
        EngineFileError,
        "{path}: the disk is full ({detail}); free some space, and the database works again without a restart",
    ),
    ("IO error|Errno", EngineFileError, "{path}: {detail}"),
    ("", EngineError, "{path}: {detail}"),
)
"""Pattern in the library's text -> the error to raise and its text; the first that matches."""

_HELD: Final = re.compile(r"/proc/self/fd/\d+")
"""The name of a directory while it is open (see ``directory_handle``)."""


@frozen
class ErrorTranslator:
    """As a context manager, turns what the binding and the file system raise into EngineError that names ``path``."""

    path: str

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: TracebackType | None) -> None:
        if isinstance(error, EngineError):
            error.args, error.path = (self._with_real_path(str(error)),), self.path
        elif error is not None and is_backend_error(error):
            raise self.translate(error) from error

    def translate(self, error: BaseException) -> EngineError:
        """Return the engine's error for one of the binding or the file system."""
        text = error.args[0] if len(error.args) == 1 else str(error)
        detail = self._with_real_path(text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text))
        kind, template = next((kind, text) for pattern, kind, text in _FAILURES if re.search(pattern, detail))
        return kind(template.format(path=self.path, detail=detail), self.path)

    def _with_real_path(self, text: str) -> str:
        return _HELD.sub(lambda _: self.path, text)


def is_backend_error(error: BaseException) -> bool:
    """Return True for OSError, errors of LevelDB's binding (not imported here), and its RuntimeError if closed."""
    return isinstance(error, (OSError, RuntimeError)) or type(error).__module__.partition(".")[0] in LIBRARIES
