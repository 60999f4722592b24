"""An interceptor of one's own: values are compressed on their way out and decompressed on their way back."""

import zlib
from typing import Any

from attrs import evolve, frozen

from pyelevator import Elevator
from pyelevator.commands import Batch, Get, MGet, Put, Range, Slice
from pyelevator.flows import Flow, Forward
from pyelevator.messages import Request, Response
from pyelevator.transports import FakeTransport

MARK = b"zip1:"
"""In front of every value that is compressed; what others wrote without it stays as it is."""


@frozen
class Zipped:
    """Compresses values of ``least`` bytes and more, if that makes them smaller."""

    least: int = 100

    def __call__(self, request: Request[Any], forward: Forward) -> Flow[Response]:
        response = yield from forward(evolve(request, command=self._outward(request.command)))
        if response.code is not None:  # a failure has no payload
            return response
        return evolve(response, payload=inward(request.command, response.payload))

    def _outward(self, command: Any) -> Any:
        if isinstance(command, Put):
            return evolve(command, value=self._packed(command.value))
        if isinstance(command, Batch):  # a put has a value, a delete has none
            ops: Any = [(signal, key, *map(self._packed, value)) for signal, key, *value in command.ops]
            return evolve(command, ops=ops)
        return command

    def _packed(self, value: bytes) -> bytes:
        small = MARK + zlib.compress(value) if len(value) >= self.least or value.startswith(MARK) else value
        return small if len(small) < len(value) or value.startswith(MARK) else value


def inward(command: Any, payload: Any) -> Any:
    if isinstance(command, Get):
        return unpacked(payload)
    if isinstance(command, MGet):
        return [None if value is None else unpacked(value) for value in payload]
    if isinstance(command, (Range, Slice)) and command.include_value:
        with_keys = command.include_key
        return [[row[0], unpacked(row[1])] if with_keys else unpacked(row) for row in payload]
    return payload


def unpacked(value: bytes) -> bytes:
    return zlib.decompress(value[len(MARK) :]) if value.startswith(MARK) else value


def main() -> None:
    server, text = FakeTransport(), "to be or not to be " * 100
    with Elevator(transport=server, interceptors=[Zipped()]) as E, Elevator(transport=server) as plain:
        E.Put("long", text)
        plain.Put("by another client", text)
        with E.WriteBatch() as batch:
            batch.Put("short", "abc")
            batch.Put("long, too", text)
        print(E.Get("long") == text == E.Get("by another client"))
        print({key: len(value) for key, value in E.RangeIter()})
    print(sizes(server))


def sizes(server: FakeTransport) -> dict[str, int]:
    """What the server really holds."""
    with Elevator(transport=server) as E:
        return {key: len(value) for key, value in E.RangeIter()}


if __name__ == "__main__":
    main()
