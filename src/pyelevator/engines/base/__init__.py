"""The engine seam: an open database of ordered bytes keys, and the storage that opens, repairs and destroys it."""

from pyelevator.engines.base.engine import Decision, Engine
from pyelevator.engines.base.errors import (
    EngineBusy,
    EngineConflict,
    EngineDamaged,
    EngineError,
    EngineFileError,
    EngineForeign,
    EngineGone,
    EngineOutcomeUnknown,
    EngineTooLarge,
    EngineUnavailable,
    OptionTypeError,
    OptionValueError,
    SnapshotLost,
)
from pyelevator.engines.base.storage import Capability, Storage
from pyelevator.engines.base.views import (
    Bounds,
    OnValues,
    PackedValues,
    ReadView,
    batched,
    chunks_of,
    collect_values,
    is_complete,
)

__all__ = [
    "Bounds",
    "Capability",
    "Decision",
    "Engine",
    "EngineBusy",
    "EngineConflict",
    "EngineDamaged",
    "EngineError",
    "EngineFileError",
    "EngineForeign",
    "EngineGone",
    "EngineOutcomeUnknown",
    "EngineTooLarge",
    "EngineUnavailable",
    "OnValues",
    "OptionTypeError",
    "OptionValueError",
    "PackedValues",
    "ReadView",
    "SnapshotLost",
    "Storage",
    "batched",
    "chunks_of",
    "collect_values",
    "is_complete",
]
