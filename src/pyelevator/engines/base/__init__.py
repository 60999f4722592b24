"""The engine seam: an open database of ordered bytes keys, and the storage that opens, repairs and destroys it."""

from pyelevator.engines.base.engine import Decision as Decision, Engine as Engine
from pyelevator.engines.base.errors import (
    EngineBusy as EngineBusy,
    EngineConflict as EngineConflict,
    EngineDamaged as EngineDamaged,
    EngineError as EngineError,
    EngineFileError as EngineFileError,
    EngineForeign as EngineForeign,
    EngineGone as EngineGone,
    EngineOutcomeUnknown as EngineOutcomeUnknown,
    EngineTooLarge as EngineTooLarge,
    EngineUnavailable as EngineUnavailable,
    OptionTypeError as OptionTypeError,
    OptionValueError as OptionValueError,
    SnapshotLost as SnapshotLost,
)
from pyelevator.engines.base.storage import Capability as Capability, Storage as Storage
from pyelevator.engines.base.views import (
    Bounds as Bounds,
    OnValues as OnValues,
    PackedValues as PackedValues,
    ReadView as ReadView,
    batched as batched,
    chunks_of as chunks_of,
    collect_values as collect_values,
    is_complete as is_complete,
)
