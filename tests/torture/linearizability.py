"""Is there an order of these operations that explains what all clients saw?

The algorithm is Wing and Gong's search ("Testing and verifying concurrent objects", 1993) with Lowe's memory of the
configurations that led nowhere ("Testing for linearizability", 2017). The object is a map: an operation reads some
keys at one moment, or writes some at one moment, so that MGET and batches are operations like GET and PUT; an update
does both at one moment.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from attrs import field, frozen

State: TypeAlias = Mapping[str, str]
"""What is in the map; a key that is not in here is missing."""

UNKNOWN: Final = math.inf
"""The end of a write that was given up on: it may take effect at any later time, or never."""


@frozen
class Operation:
    """One call of one client.

    Attributes:
        start, end: when it was called and when it returned, on one clock for all clients; it took effect between.
        reads: what it saw; None for a missing key.
        writes: what it sets; None deletes.
        checks: what keys must have for it to write anything; None for a missing one.
        passed: whether its checks held; None if that is not known.
        adds: what it adds to numbers, of which it is not known what they were; a missing one counts as 0.
    """

    start: float
    end: float
    reads: Mapping[str, str | None] = field(factory=dict)
    writes: Mapping[str, str | None] = field(factory=dict)
    checks: Mapping[str, str | None] = field(factory=dict)
    passed: bool | None = True
    adds: Mapping[str, int] = field(factory=dict)

    @property
    def keys(self) -> set[str]:
        """Every key that it touches."""
        return {*self.reads, *self.writes, *self.checks, *self.adds}

    @property
    def changes(self) -> bool:
        """Whether it may change something."""
        return bool(self.adds or self.writes) and self.passed is not False

    def after(self, state: State) -> State | None:
        """The map after it; None if it cannot have seen what it saw."""
        if any(state.get(key) != value for key, value in self.reads.items()):
            return None
        held = all(state.get(key) == value for key, value in self.checks.items())
        if self.passed is not None and self.passed != held:
            return None
        if not held:
            return state
        sums = {key: str(int(state.get(key, "0")) + by) for key, by in self.adds.items()}
        changed = {**state, **self.writes, **sums}
        return {key: value for key, value in changed.items() if value is not None}


def linearizable(history: Sequence[Operation]) -> bool:
    """Whether one order of the operations, each within its own time, explains all of them; the map is empty at first.

    The work grows fast with the number of operations that overlap: split a history into groups of keys that have no
    operation in common (``groups``).
    """
    operations = sorted(_without_unseen(history), key=lambda operation: operation.start)
    due = sum(1 << i for i, operation in enumerate(operations) if operation.end != UNKNOWN)
    stack: list[tuple[int, State]] = [(0, {})]
    seen = set()
    while stack:
        done, state = stack.pop()
        if done & due == due:
            return True
        mark = done, frozenset(state.items())
        if mark in seen:
            continue
        seen.add(mark)
        stack += _steps(operations, done, state)
    return False


def _steps(operations: Sequence[Operation], done: int, state: State) -> list[tuple[int, State]]:
    """What may come next, the most promising last. A read that fits now is taken at once: it changes nothing, so that
    in every order that explains the rest it may as well stand here."""
    steps: list[tuple[int, State]] = []
    for i in _next(operations, done):
        after = operations[i].after(state)
        if after is not None and not operations[i].changes:
            return [(done | 1 << i, state)]
        if after is not None:
            steps.append((done | 1 << i, after))
    return steps[::-1]


def _next(operations: Sequence[Operation], done: int) -> Iterator[int]:
    """Those that may be the next: none of the others that are left ended before they began."""
    horizon = math.inf
    for i in range((~done & (done + 1)).bit_length() - 1, len(operations)):
        if operations[i].start > horizon:
            return
        if not done >> i & 1:
            yield i
            horizon = min(horizon, operations[i].end)


def _without_unseen(history: Sequence[Operation]) -> list[Operation]:
    """Without the writes of unknown outcome whose values no client saw: with or without them, the rest is explained.

    (Between such a write and the next one to a key of it no client read that key, or its value would have been seen.)
    """
    seen = {item for operation in history for item in (*operation.reads.items(), *operation.checks.items())}
    failed = {key for operation in history if operation.passed is False for key in operation.checks}
    return [
        operation
        for operation in history
        if operation.end != UNKNOWN
        or operation.adds
        or None in operation.writes.values()
        or failed & operation.writes.keys()
        or seen & operation.writes.items()
    ]


def groups(history: Sequence[Operation]) -> list[list[Operation]]:
    """The history split by keys: operations of different lists have no key in common.

    Each list can be judged by itself (Herlihy and Wing: linearizability is local).
    """
    together: dict[str, frozenset[str]] = {}
    for keys in {frozenset(operation.keys) for operation in history}:
        joined = keys.union(*(together.get(key, ()) for key in keys))
        together |= dict.fromkeys(joined, joined)
    parts: dict[frozenset[str], list[Operation]] = {}
    for operation in history:
        parts.setdefault(together[next(iter(operation.keys))], []).append(operation)
    return list(parts.values())
