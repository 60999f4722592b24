"""The commands that write several keys at once, or none of them."""

from collections.abc import Sequence
from typing import Final

from attrs import field

from pyelevator import arguments
from pyelevator._attrs import command
from pyelevator.arguments.batches import PUT, BatchOp, Expected, KeyCheck, make_check
from pyelevator.arguments.data import Data, to_bytes
from pyelevator.commands.base import Command, NoResult, Writing
from pyelevator.errors import CheckFailed, ErrorCode, ServerError, SignalError


def _comparable(ops: Sequence[Sequence[object]]) -> tuple[object, ...]:
    """Return the operations, or the checks, as tuples: callers give tuples and the wire lists."""
    return tuple(map(tuple, ops))


@command
class Batch(Writing, NoResult):
    """Many puts and deletes, in order, all of them or none; ``sync`` as in :class:`Put`.

    >>> from pyelevator.commands import DELETE, PUT
    >>> Batch([(PUT, b"a", b"1"), (DELETE, b"b")])
    Batch(ops=[(1, b'a', b'1'), (0, b'b')], sync=False)
    """

    verb = "BATCH"
    errors = {ErrorCode.SIGNAL: (SignalError, None)}
    ops: Sequence[BatchOp] = field(converter=arguments.ops, eq=_comparable)
    sync: bool = field(default=False, converter=arguments.flag)


@command
class ConditionalBatch(Writing, NoResult):
    """A batch that is written only if every check holds at that moment; CheckFailed otherwise, and nothing is written.

    No other client writes between the checks and the batch. It is not idempotent: its own writes may fail its checks.

    >>> from pyelevator.commands import MISSING
    >>> ConditionalBatch([(PUT, b"a", b"2")], [make_check("a", "1"), make_check("b", MISSING)])
    ConditionalBatch(ops=[(1, b'a', b'2')], checks=[(2, b'a', b'1'), (0, b'b')], sync=False)
    """

    verb = "CONDITIONALBATCH"
    feature = "conditionalbatch"
    idempotent = False
    errors = {ErrorCode.SIGNAL: (SignalError, None)}
    ops: Sequence[BatchOp] = field(converter=arguments.ops, eq=_comparable)
    checks: Sequence[KeyCheck] = field(converter=arguments.checks, eq=_comparable)
    sync: bool = field(default=False, converter=arguments.flag)

    def error(self, code: ErrorCode, message: str) -> ServerError:
        error = Command.error(self, code, message)
        if not isinstance(error, CheckFailed):
            return error
        import reprlib  # few checks fail

        known = {str(position): check[1] for position, check in enumerate(self.checks)}
        positions = message.removeprefix(CheckFailed.MESSAGE_PREFIX).split(", ")
        failed = tuple(dict.fromkeys([known[position] for position in positions if position in known]))
        texts = [reprlib.repr(key.decode("utf-8", "backslashreplace")) for key in failed[:_MAX_KEYS_SHOWN]]
        shown = ", ".join(texts) + ", ..." * (len(failed) > _MAX_KEYS_SHOWN)
        error = CheckFailed(f"{CheckFailed.MESSAGE_PREFIX}{shown}; nothing was written", code, message)
        error.keys = failed
        return error


def put_if(key: Data, expected: Expected, value: Data, sync: bool = False) -> ConditionalBatch:
    """Make the command that sets the value of one key if the key is as expected.

    >>> from pyelevator.commands import MISSING
    >>> put_if("a", MISSING, "1")
    ConditionalBatch(ops=[(1, b'a', b'1')], checks=[(0, b'a')], sync=False)
    """
    check = make_check(key, expected)
    return ConditionalBatch([(PUT, check[1], to_bytes(value, "value"))], [check], sync)


_MAX_KEYS_SHOWN: Final = 3
