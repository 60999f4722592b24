"""How the methods of ranges are called, for type checkers: the flags for keys and values say what a range gives."""

from typing import Literal, Protocol, Required, TypeAlias, TypedDict, TypeVar, Unpack, overload

from pyelevator.arguments.data import Data

D = TypeVar("D")
Value_co = TypeVar("Value_co", covariant=True)
Rows_co = TypeVar("Rows_co", covariant=True)
Parts_co = TypeVar("Parts_co", covariant=True)

_Start: TypeAlias = Data | None
_Limit: TypeAlias = Data | int | None


class PipelinedSliceOptions(TypedDict, total=False):
    """The further options of ``Slice`` in a pipeline."""

    reverse: bool


class PipelinedRangeOptions(PipelinedSliceOptions, total=False):
    """The further options of ``Range`` in a pipeline."""

    prefix: Data | None


class RangeOptions(PipelinedRangeOptions, total=False):
    """The further options of ``Range`` and ``Slice``."""

    compression: bool
    timeout: float | None


class RangeIterOptions(RangeOptions, total=False):
    """The further options of ``RangeIter``."""

    consistent: bool


class _Pairs(TypedDict, total=False):
    include_key: Literal[True]
    include_value: Literal[True]


class _Keys(TypedDict, total=False):
    include_key: Literal[True]
    include_value: Required[Literal[False]]


class _Values(TypedDict, total=False):
    include_key: Required[Literal[False]]
    include_value: Literal[True]


class _Either(TypedDict, total=False):
    include_key: bool
    include_value: bool


class _PipelinedSlicePairs(PipelinedSliceOptions, _Pairs, total=False): ...


class _PipelinedSliceKeys(PipelinedSliceOptions, _Keys, total=False): ...


class _PipelinedSliceValues(PipelinedSliceOptions, _Values, total=False): ...


class _PipelinedSliceEither(PipelinedSliceOptions, _Either, total=False): ...


class _PipelinedRangePairs(PipelinedRangeOptions, _Pairs, total=False): ...


class _PipelinedRangeKeys(PipelinedRangeOptions, _Keys, total=False): ...


class _PipelinedRangeValues(PipelinedRangeOptions, _Values, total=False): ...


class _PipelinedRangeEither(PipelinedRangeOptions, _Either, total=False): ...


class _RangePairs(RangeOptions, _Pairs, total=False): ...


class _RangeKeys(RangeOptions, _Keys, total=False): ...


class _RangeValues(RangeOptions, _Values, total=False): ...


class _RangeEither(RangeOptions, _Either, total=False): ...


class _RangeIterPairs(RangeIterOptions, _Pairs, total=False): ...


class _RangeIterKeys(RangeIterOptions, _Keys, total=False): ...


class _RangeIterValues(RangeIterOptions, _Values, total=False): ...


class _RangeIterEither(RangeIterOptions, _Either, total=False): ...


class GetCall(Protocol[Value_co]):
    """``Get``: gives the value, or the default."""

    @overload
    def __call__(self, key: Data, *, compression: bool = ..., timeout: float | None = ...) -> Value_co: ...
    @overload
    def __call__(
        self, key: Data, default: D, *, compression: bool = ..., timeout: float | None = ...
    ) -> Value_co | D: ...


class AsyncGetCall(Protocol[Value_co]):
    """``Get``, awaited."""

    @overload
    async def __call__(self, key: Data, *, compression: bool = ..., timeout: float | None = ...) -> Value_co: ...
    @overload
    async def __call__(
        self, key: Data, default: D, *, compression: bool = ..., timeout: float | None = ...
    ) -> Value_co | D: ...


class RangeCall(Protocol[Rows_co, Parts_co]):
    """``Range``: gives rows, or the keys or values of them."""

    @overload
    def __call__(self, start: _Start = ..., limit: _Limit = ..., **options: Unpack[_RangePairs]) -> Rows_co: ...
    @overload
    def __call__(self, start: _Start = ..., limit: _Limit = ..., **options: Unpack[_RangeKeys]) -> Parts_co: ...
    @overload
    def __call__(self, start: _Start = ..., limit: _Limit = ..., **options: Unpack[_RangeValues]) -> Parts_co: ...
    @overload
    def __call__(
        self, start: _Start = ..., limit: _Limit = ..., **options: Unpack[_RangeEither]
    ) -> Rows_co | Parts_co: ...


class SliceCall(Protocol[Rows_co, Parts_co]):
    """``Slice``."""

    @overload
    def __call__(self, key_from: _Start, offset: int, **options: Unpack[_RangePairs]) -> Rows_co: ...
    @overload
    def __call__(self, key_from: _Start, offset: int, **options: Unpack[_RangeKeys]) -> Parts_co: ...
    @overload
    def __call__(self, key_from: _Start, offset: int, **options: Unpack[_RangeValues]) -> Parts_co: ...
    @overload
    def __call__(self, key_from: _Start, offset: int, **options: Unpack[_RangeEither]) -> Rows_co | Parts_co: ...


class RangeIterCall(Protocol[Rows_co, Parts_co]):
    """``RangeIter``."""

    @overload
    def __call__(self, key_from: _Start = ..., key_to: _Limit = ..., **options: Unpack[_RangeIterPairs]) -> Rows_co: ...
    @overload
    def __call__(self, key_from: _Start = ..., key_to: _Limit = ..., **options: Unpack[_RangeIterKeys]) -> Parts_co: ...
    @overload
    def __call__(
        self, key_from: _Start = ..., key_to: _Limit = ..., **options: Unpack[_RangeIterValues]
    ) -> Parts_co: ...
    @overload
    def __call__(
        self, key_from: _Start = ..., key_to: _Limit = ..., **options: Unpack[_RangeIterEither]
    ) -> Rows_co | Parts_co: ...


class PipelinedRangeCall(Protocol[Rows_co, Parts_co]):
    """``Range`` in a pipeline."""

    @overload
    def __call__(
        self, start: _Start = ..., limit: _Limit = ..., **options: Unpack[_PipelinedRangePairs]
    ) -> Rows_co: ...
    @overload
    def __call__(
        self, start: _Start = ..., limit: _Limit = ..., **options: Unpack[_PipelinedRangeKeys]
    ) -> Parts_co: ...
    @overload
    def __call__(
        self, start: _Start = ..., limit: _Limit = ..., **options: Unpack[_PipelinedRangeValues]
    ) -> Parts_co: ...
    @overload
    def __call__(
        self, start: _Start = ..., limit: _Limit = ..., **options: Unpack[_PipelinedRangeEither]
    ) -> Rows_co | Parts_co: ...


class PipelinedSliceCall(Protocol[Rows_co, Parts_co]):
    """``Slice`` in a pipeline."""

    @overload
    def __call__(self, key_from: _Start, offset: int, **options: Unpack[_PipelinedSlicePairs]) -> Rows_co: ...
    @overload
    def __call__(self, key_from: _Start, offset: int, **options: Unpack[_PipelinedSliceKeys]) -> Parts_co: ...
    @overload
    def __call__(self, key_from: _Start, offset: int, **options: Unpack[_PipelinedSliceValues]) -> Parts_co: ...
    @overload
    def __call__(
        self, key_from: _Start, offset: int, **options: Unpack[_PipelinedSliceEither]
    ) -> Rows_co | Parts_co: ...
