"""How the methods of ranges are called, for type checkers: the flags for keys and values say what a range gives."""

from typing import Literal, Protocol, TypedDict, TypeVar, Unpack, overload

from pyelevator.arguments.data import Data

D = TypeVar("D")
Value_co = TypeVar("Value_co", covariant=True)
Rows_co = TypeVar("Rows_co", covariant=True)
Parts_co = TypeVar("Parts_co", covariant=True)


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
    def __call__(
        self,
        start: Data | None = ...,
        limit: Data | int | None = ...,
        *,
        include_key: Literal[True] = ...,
        include_value: Literal[True] = ...,
        **options: Unpack[RangeOptions],
    ) -> Rows_co: ...
    @overload
    def __call__(
        self,
        start: Data | None = ...,
        limit: Data | int | None = ...,
        *,
        include_key: Literal[True] = ...,
        include_value: Literal[False],
        **options: Unpack[RangeOptions],
    ) -> Parts_co: ...
    @overload
    def __call__(
        self,
        start: Data | None = ...,
        limit: Data | int | None = ...,
        *,
        include_key: Literal[False],
        include_value: Literal[True] = ...,
        **options: Unpack[RangeOptions],
    ) -> Parts_co: ...
    @overload
    def __call__(
        self,
        start: Data | None = ...,
        limit: Data | int | None = ...,
        *,
        include_key: bool = ...,
        include_value: bool = ...,
        **options: Unpack[RangeOptions],
    ) -> Rows_co | Parts_co: ...


class SliceCall(Protocol[Rows_co, Parts_co]):
    """``Slice``."""

    @overload
    def __call__(
        self,
        key_from: Data | None,
        offset: int,
        *,
        include_key: Literal[True] = ...,
        include_value: Literal[True] = ...,
        **options: Unpack[RangeOptions],
    ) -> Rows_co: ...
    @overload
    def __call__(
        self,
        key_from: Data | None,
        offset: int,
        *,
        include_key: Literal[True] = ...,
        include_value: Literal[False],
        **options: Unpack[RangeOptions],
    ) -> Parts_co: ...
    @overload
    def __call__(
        self,
        key_from: Data | None,
        offset: int,
        *,
        include_key: Literal[False],
        include_value: Literal[True] = ...,
        **options: Unpack[RangeOptions],
    ) -> Parts_co: ...
    @overload
    def __call__(
        self,
        key_from: Data | None,
        offset: int,
        *,
        include_key: bool = ...,
        include_value: bool = ...,
        **options: Unpack[RangeOptions],
    ) -> Rows_co | Parts_co: ...


class RangeIterCall(Protocol[Rows_co, Parts_co]):
    """``RangeIter``."""

    @overload
    def __call__(
        self,
        key_from: Data | None = ...,
        key_to: Data | int | None = ...,
        *,
        include_key: Literal[True] = ...,
        include_value: Literal[True] = ...,
        **options: Unpack[RangeIterOptions],
    ) -> Rows_co: ...
    @overload
    def __call__(
        self,
        key_from: Data | None = ...,
        key_to: Data | int | None = ...,
        *,
        include_key: Literal[True] = ...,
        include_value: Literal[False],
        **options: Unpack[RangeIterOptions],
    ) -> Parts_co: ...
    @overload
    def __call__(
        self,
        key_from: Data | None = ...,
        key_to: Data | int | None = ...,
        *,
        include_key: Literal[False],
        include_value: Literal[True] = ...,
        **options: Unpack[RangeIterOptions],
    ) -> Parts_co: ...
    @overload
    def __call__(
        self,
        key_from: Data | None = ...,
        key_to: Data | int | None = ...,
        *,
        include_key: bool = ...,
        include_value: bool = ...,
        **options: Unpack[RangeIterOptions],
    ) -> Rows_co | Parts_co: ...


class PipelinedRangeCall(Protocol[Rows_co, Parts_co]):
    """``Range`` in a pipeline."""

    @overload
    def __call__(
        self,
        start: Data | None = ...,
        limit: Data | int | None = ...,
        *,
        include_key: Literal[True] = ...,
        include_value: Literal[True] = ...,
        **options: Unpack[PipelinedRangeOptions],
    ) -> Rows_co: ...
    @overload
    def __call__(
        self,
        start: Data | None = ...,
        limit: Data | int | None = ...,
        *,
        include_key: Literal[True] = ...,
        include_value: Literal[False],
        **options: Unpack[PipelinedRangeOptions],
    ) -> Parts_co: ...
    @overload
    def __call__(
        self,
        start: Data | None = ...,
        limit: Data | int | None = ...,
        *,
        include_key: Literal[False],
        include_value: Literal[True] = ...,
        **options: Unpack[PipelinedRangeOptions],
    ) -> Parts_co: ...
    @overload
    def __call__(
        self,
        start: Data | None = ...,
        limit: Data | int | None = ...,
        *,
        include_key: bool = ...,
        include_value: bool = ...,
        **options: Unpack[PipelinedRangeOptions],
    ) -> Rows_co | Parts_co: ...


class PipelinedSliceCall(Protocol[Rows_co, Parts_co]):
    """``Slice`` in a pipeline."""

    @overload
    def __call__(
        self,
        key_from: Data | None,
        offset: int,
        *,
        include_key: Literal[True] = ...,
        include_value: Literal[True] = ...,
        **options: Unpack[PipelinedSliceOptions],
    ) -> Rows_co: ...
    @overload
    def __call__(
        self,
        key_from: Data | None,
        offset: int,
        *,
        include_key: Literal[True] = ...,
        include_value: Literal[False],
        **options: Unpack[PipelinedSliceOptions],
    ) -> Parts_co: ...
    @overload
    def __call__(
        self,
        key_from: Data | None,
        offset: int,
        *,
        include_key: Literal[False],
        include_value: Literal[True] = ...,
        **options: Unpack[PipelinedSliceOptions],
    ) -> Parts_co: ...
    @overload
    def __call__(
        self,
        key_from: Data | None,
        offset: int,
        *,
        include_key: bool = ...,
        include_value: bool = ...,
        **options: Unpack[PipelinedSliceOptions],
    ) -> Rows_co | Parts_co: ...
