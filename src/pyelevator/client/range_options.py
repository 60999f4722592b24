"""The further options of ranges, for type checkers: the flags for keys and values say what a range gives."""

from typing import TypedDict

from pyelevator.arguments import Data


class PipelinedSliceOptions(TypedDict, total=False):
    """Of ``Slice`` in a pipeline."""

    reverse: bool


class PipelinedRangeOptions(PipelinedSliceOptions, total=False):
    """Of ``Range`` in a pipeline."""

    prefix: Data | None


class RangeOptions(PipelinedRangeOptions, total=False):
    """Of ``Range`` and ``Slice``."""

    compression: bool
    timeout: float | None


class RangeIterOptions(RangeOptions, total=False):
    """Of ``RangeIter``."""

    consistent: bool
