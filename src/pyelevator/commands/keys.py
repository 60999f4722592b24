"""The commands about single keys, and about keys that are named one by one."""

from collections import deque
from collections.abc import Sequence
from itertools import repeat
from typing import Final, Self

from attrs import field

from pyelevator import arguments
from pyelevator._attrs import command
from pyelevator.arguments.data import Data
from pyelevator.commands.base import Access, Command, NoResult, PayloadKind, R_co, Writing, check_type, to_int
from pyelevator.errors import ErrorCode, KeyNotFound, MalformedMessage


@command
class Keyed(Command[R_co]):
    """A command with one key and no other field."""

    key: bytes = field(converter=arguments.to_bytes)

    @classmethod
    def make(cls, key: Data) -> Self:
        """Make it in half the time of the constructor: clients and servers make one for each call.

        Not for subclasses with fields or converters of their own.

        >>> Get.make("abc")
        Get(key=b'abc')
        """
        command = _new(cls)
        _set_key(command, key if type(key) is bytes else arguments.to_bytes(key, "key"))
        return command

    @classmethod
    def make_all(cls, keys: Sequence[Data]) -> list[Self]:
        """Make one for each key, without a call for each.

        >>> Get.make_all(["a", b"b"])
        [Get(key=b'a'), Get(key=b'b')]
        """
        if not set(map(type, keys)) <= {bytes}:
            keys = [arguments.to_bytes(key, "key") for key in keys]
        made = list(map(_new, repeat(cls, len(keys))))
        deque(map(_set_key, made, keys), maxlen=0)
        return made


_new: Final = object.__new__


_set_key: Final = Keyed.key.__set__  # type: ignore[attr-defined]


@command
class Get(Keyed[bytes]):
    """The value of one key. KeyNotFound if there is none."""

    verb = "GET"
    access = Access.READ
    payload_kind = PayloadKind.SCALAR
    errors = {ErrorCode.KEY: (KeyNotFound, "Key not found")}

    def result(self, payload: object) -> bytes:
        return payload if type(payload) is bytes else check_type(payload, bytes, self.verb)


@command
class Put(Writing, NoResult):
    """Set the value of one key. ``sync`` asks for an answer only when it survives a crash of the machine."""

    verb = "PUT"
    key: bytes = field(converter=arguments.to_bytes)
    value: bytes = field(converter=arguments.to_bytes)
    sync: bool = field(default=False, converter=arguments.flag)

    @classmethod
    def make(cls, key: Data, value: Data, sync: bool = False) -> Self:
        """Make it in half the time of the constructor, as ``Keyed.make``.

        >>> Put.make("abc", "1")
        Put(key=b'abc', value=b'1', sync=False)
        """
        command = _new(cls)
        _set_put_key(command, key if type(key) is bytes else arguments.to_bytes(key, "key"))
        _set_put_value(command, value if type(value) is bytes else arguments.to_bytes(value, "value"))
        _set_put_sync(command, sync if sync is False else arguments.flag(sync, "sync"))
        return command


_set_put_key: Final = Put.key.__set__  # type: ignore[attr-defined]
_set_put_value: Final = Put.value.__set__  # type: ignore[attr-defined]
_set_put_sync: Final = Put.sync.__set__  # type: ignore[attr-defined]


@command
class Delete(Writing, NoResult):
    """Remove one key; a missing key is no error. ``sync`` as in :class:`Put`."""

    verb = "DELETE"
    key: bytes = field(converter=arguments.to_bytes)
    sync: bool = field(default=False, converter=arguments.flag)


@command
class Exists(Keyed[bool]):
    """Tell whether a key is there; an empty value counts."""

    verb = "EXISTS"
    access = Access.READ
    payload_kind = PayloadKind.SCALAR

    def result(self, payload: object) -> bool:
        return check_type(payload, bool, self.verb)


@command
class MGet(Command[list[bytes | None]]):
    """The values of many keys, in the order of the keys; None for a missing one.

    ``fill_cache`` asks the server to keep what it reads in its caches: the pairs, and LevelDB's blocks.
    """

    verb = "MGET"
    access = Access.READ
    payload_kind = PayloadKind.LIST
    meta_fields = ("fill_cache",)
    keys: Sequence[bytes] = field(converter=arguments.keys, eq=tuple)
    fill_cache: bool = field(default=False, converter=arguments.flag)

    def result(self, payload: object) -> list[bytes | None]:
        values = check_type(payload, list, self.verb)
        if len(values) == len(self.keys) and set(map(type, values)) <= {bytes, type(None)}:
            return values
        raise MalformedMessage(f"the answer to {len(self.keys)} keys holds {len(values)} values, or some are not bytes")


@command
class Increment(Writing, Command[int]):
    """Add ``by`` to the number of one key, in one step, and return the sum; a missing key counts as ``initial``.

    Numbers are decimal text of 64 bits, with a sign. A value that is none is a WrongValue, and so is a sum that does
    not fit; nothing is written then. It is not idempotent: executed twice, it adds twice.
    """

    verb = "INCREMENT"
    feature = "increment"
    payload_kind = PayloadKind.SCALAR
    idempotent = False
    key: bytes = field(converter=arguments.to_bytes)
    by: int = field(default=1, converter=arguments.integer)
    initial: int = field(default=0, converter=arguments.integer)
    sync: bool = field(default=False, converter=arguments.flag)

    def result(self, payload: object) -> int:
        return to_int(payload, self.verb)


@command
class GetAndDelete(Writing, Command[bytes]):
    """Remove one key, in one step, and return the value that it had. KeyNotFound if there is none.

    It is not idempotent: executed twice, it finds nothing the second time.
    """

    verb = "GETANDDELETE"
    feature = "getanddelete"
    payload_kind = PayloadKind.SCALAR
    idempotent = False
    errors = {ErrorCode.KEY: (KeyNotFound, "Key not found")}
    key: bytes = field(converter=arguments.to_bytes)
    sync: bool = field(default=False, converter=arguments.flag)

    def result(self, payload: object) -> bytes:
        return check_type(payload, bytes, self.verb)
