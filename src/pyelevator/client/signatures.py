"""The signatures of the methods of ranges, for type checkers: the flags for keys and values say what a range gives."""

from typing import Generic, Literal, Protocol, TypeAlias, TypedDict, TypeVar, Unpack, overload

from pyelevator.arguments.data import Data
from pyelevator.client.results import PipelineResult

D = TypeVar("D")
Key = TypeVar("Key")
Value = TypeVar("Value")
Value_co = TypeVar("Value_co", covariant=True)
Rows_co = TypeVar("Rows_co", covariant=True)
Parts_co = TypeVar("Parts_co", covariant=True)

_Start: TypeAlias = Data | None
_Limit: TypeAlias = Data | int | None


Yes: TypeAlias = Literal[True]
No: TypeAlias = Literal[False]


class RangeOptions(TypedDict, Generic[Key, Value], total=False):
    """The further options of ``Range`` and ``Slice``."""

    include_key: Key
    include_value: Value
    reverse: bool
    prefix: Data | None
    compression: bool
    timeout: float | None


class RangeIterOptions(RangeOptions[Key, Value], Generic[Key, Value], total=False):
    """The further options of ``RangeIter``."""

    consistent: bool


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


class PipelinedGetCall(Protocol[Value_co]):
    """``Get`` in a pipeline."""

    @overload
    def __call__(self, key: Data) -> PipelineResult[Value_co]: ...
    @overload
    def __call__(self, key: Data, default: D) -> PipelineResult[Value_co | D]: ...


class RangeCall(Protocol[Rows_co, Parts_co]):
    """``Range``: gives rows, or the keys or values of them."""

    @overload
    def __call__(
        self, start: _Start = ..., limit: _Limit = ..., **options: Unpack[RangeOptions[Yes, Yes]]
    ) -> Rows_co: ...
    @overload
    def __call__(
        self, start: _Start = ..., limit: _Limit = ..., **options: Unpack[RangeOptions[Yes, No]]
    ) -> Parts_co: ...
    @overload
    def __call__(
        self, start: _Start = ..., limit: _Limit = ..., **options: Unpack[RangeOptions[No, Yes]]
    ) -> Parts_co: ...
    @overload
    def __call__(
        self, start: _Start = ..., limit: _Limit = ..., **options: Unpack[RangeOptions[bool, bool]]
    ) -> Rows_co | Parts_co: ...


class SliceCall(Protocol[Rows_co, Parts_co]):
    """``Slice``."""

    @overload
    def __call__(self, key_from: _Start, offset: int, **options: Unpack[RangeOptions[Yes, Yes]]) -> Rows_co: ...
    @overload
    def __call__(self, key_from: _Start, offset: int, **options: Unpack[RangeOptions[Yes, No]]) -> Parts_co: ...
    @overload
    def __call__(self, key_from: _Start, offset: int, **options: Unpack[RangeOptions[No, Yes]]) -> Parts_co: ...
    @overload
    def __call__(
        self, key_from: _Start, offset: int, **options: Unpack[RangeOptions[bool, bool]]
    ) -> Rows_co | Parts_co: ...


class RangeIterCall(Protocol[Rows_co, Parts_co]):
    """``RangeIter``."""

    @overload
    def __call__(
        self, key_from: _Start = ..., key_to: _Limit = ..., **options: Unpack[RangeIterOptions[Yes, Yes]]
    ) -> Rows_co: ...
    @overload
    def __call__(
        self, key_from: _Start = ..., key_to: _Limit = ..., **options: Unpack[RangeIterOptions[Yes, No]]
    ) -> Parts_co: ...
    @overload
    def __call__(
        self, key_from: _Start = ..., key_to: _Limit = ..., **options: Unpack[RangeIterOptions[No, Yes]]
    ) -> Parts_co: ...
    @overload
    def __call__(
        self, key_from: _Start = ..., key_to: _Limit = ..., **options: Unpack[RangeIterOptions[bool, bool]]
    ) -> Rows_co | Parts_co: ...
