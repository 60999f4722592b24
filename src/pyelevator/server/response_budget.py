"""The response budget: limits the memory of responses that clients do not read.

Sans-I/O: it has no socket and no clock.
"""

from collections.abc import Sequence
from typing import Final

from pyelevator.application.response_space import OutOfSpace, ResponseSpace
from pyelevator.commands import Command
from pyelevator.peers.stalls import StallDetector
from pyelevator.transports.send_queues import SendQueues

LARGE: Final = 64 << 10
"""Bytes from which on a response waits for space; smaller ones do if the unsent ones are over their limit."""

SMALL: Final = 4 << 10
"""Bytes up to which a response is always sent."""

_COPIES: Final = 2
"""Copies of a response in memory while it is made: as a value and packed, or packed and encrypted."""

_UNRESERVED: Final = 8
"""A response of any size is sent if this part of the limit at most is taken: else slow readers could hold it up."""

STALL_TIMEOUT: Final = 0.5
"""Seconds that responses wait for space; then clients that use it up and read nothing are disconnected."""

_UNLIMITED: Final = 1 << 62

_DECAY: Final = 0.9
"""By which the expected size shrinks with each smaller response of ``LARGE`` bytes or more."""

_SLOW_DECAY: Final = 0.97
"""The same for all others: they say less of what the next large one will be."""


class Reservation(ResponseSpace):
    """The space for the response of one request that a worker executes; it grows with the response.

    Of the bytes that it is expected to have, some may be granted before anything is made.

    Attributes:
        size: bytes that count for others: expected ones, or those that are made.
        refused_bytes: that have to be reserved next time, once the response was given up; else 0.
        can_wait: the request can be executed once more, and so be given up.
    """

    def __init__(self, budget: "ResponseBudget", size: int, granted: int) -> None:
        self._budget, self._expected, self._granted, self._made = budget, size, granted, 0
        self.size, self.refused_bytes, self.can_wait = size, 0, False

    @property
    def available(self) -> int:
        """Bytes that may certainly be added."""
        return max(self._granted, self._budget.available_to(self)) - self._made if self.can_wait else _UNLIMITED

    def add(self, size: int, *, is_all: bool = False) -> None:
        """Report that the response has so many bytes more, or fewer."""
        self._made += size
        self.size = max(self._expected, self._made)
        if self._made <= self._granted:
            return
        if size > 0 and self.can_wait and self._made > self._budget.available_to(self):
            self.refused_bytes = self._made if is_all else 2 * self._made  # how much more it will be is unknown
            self._budget.end(self)
            raise OutOfSpace


class ResponseBudget:
    """Decides whether there is space for one more response.

    The unsent responses have ``max_bytes`` together, and one more response in addition: both when they are counted, and
    as memory while a response is made, which takes a second copy of it. How large a response is shows only when it is
    there. So space for as much as the latest ones had is kept, for the copy of the next one. What workers make is
    reserved as it grows: those that find no space are given up, and made when there is some.
    """

    def __init__(self, send_queues: SendQueues, max_bytes: int) -> None:
        self._send_queues, self._max_bytes = send_queues, max_bytes
        self._expected_bytes = 0
        self._expected: dict[type[Command], int] = {}
        self._running: dict[Reservation, None] = {}  # the oldest first; workers change it too
        self._stalls = StallDetector(send_queues, STALL_TIMEOUT, self._is_large)

    @property
    def share(self) -> int:
        """Bytes for the response to a request that can be executed only once, so that two may run."""
        return self._max_bytes // (2 * _COPIES)

    @property
    def expected_bytes(self) -> int:
        """Bytes that the next response may have, as the latest ones had."""
        return self._expected_bytes

    def expected_of(self, kind: type[Command] | None) -> int:
        """Return the bytes that the response to such a command may have, as the latest ones had."""
        return self._expected.get(kind, 0) if kind is not None else 0

    def can_start(self, size: int) -> bool:
        """Return True if a request may be executed whose response is expected to have ``size`` bytes.

        It may if it is the only large one: it is given up if there is no space for it.
        """
        return size < LARGE or self._running_bytes < LARGE or self._can_reserve(size)

    def can_make(self, size: int) -> bool:
        """Return True if there is space for a response of ``size`` bytes beside those that are being made."""
        is_alone = self._running_bytes < LARGE and self._send_queues.unsent_bytes <= self._max_bytes // _UNRESERVED
        return is_alone or (self._can_reserve(size) and self.has_space_for(size))

    def start(self, size: int, *, is_certain: bool = False) -> Reservation:
        """Reserve space for the response to a request that is about to be executed, of an expected size.

        If that is certain, it is in memory before the response can be given up, and so counts for others in any case.
        """
        granted = size if self._can_reserve(size) else 0
        reservation = Reservation(self, size if is_certain else granted, granted)
        self._running[reservation] = None
        return reservation

    def end(self, reservation: Reservation) -> None:
        """Give the space of a response back that is made, or was given up; from any thread."""
        self._running.pop(reservation, None)

    def available_to(self, reservation: Reservation) -> int:
        """Return how many bytes a response may have by now; from any thread."""
        unsent, running = self._send_queues.unsent_bytes, list(self._running)
        if running[:1] == [reservation] and unsent <= self._max_bytes // _UNRESERVED:
            return _UNLIMITED
        others = sum([one.size for one in running if one is not reservation])
        return (self._max_bytes - unsent) // _COPIES - others

    @property
    def _running_bytes(self) -> int:
        return sum([one.size for one in list(self._running)])

    def _can_reserve(self, size: int) -> bool:
        return self._send_queues.unsent_bytes + _COPIES * (self._running_bytes + size) <= self._max_bytes

    def admits(self, frames: Sequence[bytes], kind: type[Command] | None = None) -> bool:
        """Return True if a response to a command of that kind may be sent now."""
        size = sum(map(len, frames))
        decay = _DECAY if size >= LARGE else _SLOW_DECAY
        self._expected_bytes = max(size, int(decay * self._expected_bytes))
        if kind is not None:
            self._expected[kind] = max(size, int(decay * self.expected_of(kind)))
        unsent = self._send_queues.unsent_bytes
        if size < LARGE and unsent <= self._max_bytes:
            return True
        return size < SMALL or self._has_space(size, self._expected_bytes)

    def has_space_for(self, size: int) -> bool:
        """Return True if a response of so many bytes may be made, and sent."""
        return self._has_space(size, max(size, self._expected_bytes))

    def _has_space(self, size: int, expected: int) -> bool:
        unsent = self._send_queues.unsent_bytes
        return unsent <= self._max_bytes // _UNRESERVED or unsent + size + (_COPIES - 1) * expected <= self._max_bytes

    def stalled_clients(self, needed: int | None, now: float) -> list[bytes]:
        """Return the clients that have read nothing for a while although others wait for space.

        The smallest response that does needs so many bytes; None if none waits.
        """
        if needed is None or self.has_space_for(needed):
            self._stalls.end()
            return []
        return self._stalls.check(now) or []

    def _is_large(self, identity: bytes) -> bool:
        return bool(self._send_queues.peers[identity].unsent_bytes >= SMALL)
