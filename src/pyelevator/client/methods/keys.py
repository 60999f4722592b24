"""Single keys and their values."""

from collections.abc import Sequence
from typing import Any

from pyelevator import commands
from pyelevator.client.declaration import Outcome, SharedMethods, shared_get, shared_method
from pyelevator.client.decoding import T
from pyelevator.client.operations import NOT_WRITTEN, is_written, mget
from pyelevator.client.options import UNSET
from pyelevator.commands import MISSING, Data, Delete, Exists, Expected, Get, GetAndDelete, Increment, MGet, Put
from pyelevator.errors import KeyNotFound


class KeyMethods(SharedMethods[T]):
    """The methods that read and write single keys."""

    def _get_many(self, command: MGet, timeout: float | None) -> Outcome[list[T | None]]:
        return self._execute(mget(self._handle, command), timeout)  # type: ignore[arg-type]  # there are no values

    @shared_get
    def Get(
        self, key: Data, default: Any = UNSET, *, compression: bool = False, timeout: float | None = None
    ) -> Outcome[T]:
        """Return the value of ``key``.

        Args:
            key: str or bytes-like.
            default: what to return where there is no such key, as it is; without it, that is an error.
            compression: ask for an lz4-compressed answer.
            timeout: seconds; the client's if None.

        Returns:
            The value, as str or bytes by the client's encoding; or the default.

        Raises:
            KeyNotFound: "Key not found"; it is a KeyError.
        """
        expected = None if default is UNSET else (KeyNotFound, default)
        return self._call(Get.make(key), timeout, compression, self._decoder.value, expected)

    @shared_method
    def Put(self, key: Data, value: Data, *, sync: bool = False, timeout: float | None = None) -> Outcome[None]:
        """Set the value of ``key``; it is written when this returns.

        What is written survives the server's process. ``sync=True`` waits until it survives the machine, too.

        Args:
            key, value: str or bytes-like.
            sync: answer only when the disk has it.
            timeout: seconds; the client's if None.

        Raises:
            MessageTooLarge: it is over the server's limit; nothing was sent.
            UsageError: ``sync=True`` at an old server; nothing was sent.
        """
        return self._call(Put.make(key, value, sync), timeout)

    @shared_method
    def Delete(self, key: Data, *, sync: bool = False, timeout: float | None = None) -> Outcome[None]:
        """Remove ``key``; a missing one is no error.

        Args:
            key: str or bytes-like.
            sync: as in :meth:`Put`.
            timeout: seconds; the client's if None.
        """
        return self._call(Delete(key, sync), timeout)

    @shared_method
    def Exists(self, key: Data, *, timeout: float | None = None) -> Outcome[bool]:
        """Tell whether ``key`` is there; a key with an empty value is.

        Args:
            key: str or bytes-like.
            timeout: seconds; the client's if None.

        Returns:
            True if it is.
        """
        return self._call(Exists.make(key), timeout)

    @shared_method
    def PutIfAbsent(self, key: Data, value: Data, *, sync: bool = False, timeout: float | None = None) -> Outcome[bool]:
        """Set the value of ``key`` if there is none, in one step.

        Args:
            key, value: str or bytes-like.
            sync: as in :meth:`Put`.
            timeout: seconds; the client's if None.

        Returns:
            True if it is written; False if there is a value, which stays.

        Raises:
            RequestTimeout: no answer came; it may have been written. A ``Retry`` does not repeat it.
            UsageError: a server that does not know it; nothing was sent.
        """
        return self._call(commands.put_if(key, MISSING, value, sync), timeout, False, is_written, NOT_WRITTEN)

    @shared_method
    def CompareAndSet(
        self, key: Data, expected: Expected, value: Data, *, sync: bool = False, timeout: float | None = None
    ) -> Outcome[bool]:
        """Set the value of ``key`` if it is the expected one, in one step.

        Args:
            key: str or bytes-like.
            expected: the value that the key must have, ``pyelevator.MISSING`` or ``pyelevator.PRESENT``.
            value: str or bytes-like.
            sync: as in :meth:`Put`.
            timeout: seconds; the client's if None.

        Returns:
            True if it is written; False if the key is not as expected, and stays as it is.

        Raises:
            RequestTimeout: no answer came; it may have been written. A ``Retry`` does not repeat it.
            UsageError: a server that does not know it; nothing was sent.

        >>> from pyelevator import Elevator
        >>> E = Elevator(transport="fake")
        >>> E.PutIfAbsent("color", "blue"), E.CompareAndSet("color", "red", "green"), E.Get("color")
        (True, False, 'blue')
        """
        return self._call(commands.put_if(key, expected, value, sync), timeout, False, is_written, NOT_WRITTEN)

    @shared_method
    def Increment(
        self, key: Data, by: int = 1, initial: int = 0, *, sync: bool = False, timeout: float | None = None
    ) -> Outcome[int]:
        """Add to the number of ``key``, in one step.

        Numbers are decimal text of 64 bits with a sign, as ``str(int)`` makes it.

        Args:
            key: str or bytes-like.
            by: what to add; it may be negative.
            initial: the number that a missing key counts as.
            sync: as in :meth:`Put`.
            timeout: seconds; the client's if None.

        Returns:
            The sum, which the key has now.

        Raises:
            WrongValue: the value is no such number, or the sum does not fit into 64 bits; nothing was written.
            RequestTimeout: no answer came; it may have been added. A ``Retry`` does not repeat it.
            UsageError: a server that does not know it; nothing was sent.

        >>> from pyelevator import Elevator
        >>> E = Elevator(transport="fake")
        >>> E.Increment("visits"), E.Increment("visits", 10), E.Get("visits")
        (1, 11, '11')
        """
        return self._call(Increment(key, by, initial, sync), timeout)

    @shared_method
    def GetAndDelete(self, key: Data, *, sync: bool = False, timeout: float | None = None) -> Outcome[T]:
        """Remove ``key`` and return the value that it had, in one step: of several clients, one gets it.

        Args:
            key: str or bytes-like.
            sync: as in :meth:`Put`.
            timeout: seconds; the client's if None.

        Returns:
            The value, as str or bytes by the client's encoding.

        Raises:
            KeyNotFound: "Key not found"; it is a KeyError.
            RequestTimeout: no answer came; it may have been removed. A ``Retry`` does not repeat it.
            UsageError: a server that does not know it; nothing was sent.
        """
        return self._call(GetAndDelete(key, sync), timeout, False, self._decoder.value)

    @shared_method
    def MGet(
        self,
        keys: Sequence[Data],
        fill_cache: bool = False,
        *,
        compression: bool = False,
        timeout: float | None = None,
    ) -> Outcome[list[T | None]]:
        """Return the values of many keys.

        Args:
            keys: a list or a tuple of str or bytes-like.
            fill_cache: keep what is read in the server's memory, for random keys that are read again and again: reading
                them once more is several times as fast, until they are written.
            compression: ask for an lz4-compressed answer.
            timeout: seconds; the client's if None.

        Returns:
            The values in the order of the keys, with None for a missing one.

        Raises:
            WrongValue: there are more keys than the server's ``--max-range``.
        """
        command = MGet(keys, fill_cache)
        if not command.keys:
            return self._get_many(command, timeout)
        return self._call(command, timeout, compression, self._decoder.values)
