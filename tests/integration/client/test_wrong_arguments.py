"""A call that is wrong is a UsageError before anything is sent."""

import asyncio

import pytest

from pyelevator import AsyncElevator, Elevator, UsageError, WriteBatch

CALLS = {
    "a key of the wrong type": lambda E: E.Get(5),
    "a value of the wrong type": lambda E: E.Put("k", 5),
    "keys that are no list": lambda E: E.MGet("abc"),
    "a lone surrogate": lambda E: E.Delete("\ud800"),
    "a limit of the wrong type": lambda E: E.Slice("a", "b"),
    "a name of the wrong type": lambda E: E.createdb(5),
    "options of the wrong type": lambda E: E.createdb("db", {"paranoid_checks": object()}),
}


class Sent:
    """Notes what passes."""

    def __init__(self):
        self.verbs = []

    def __call__(self, request, forward):
        self.verbs.append(request.command.verb)
        return (yield from forward(request))


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_wrong_call_is_an_error_before_anything_is_sent(call):
    sent = Sent()
    with Elevator(transport="fake", interceptors=[sent]) as E, pytest.raises(UsageError):
        call(E)
    assert sent.verbs == ["DBCONNECT"]


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_wrong_async_call_is_an_error_before_anything_is_sent(call):
    sent = Sent()

    async def main():
        async with AsyncElevator(transport="fake", interceptors=[sent]) as E:
            await call(E)

    with pytest.raises(UsageError):
        asyncio.run(main())
    assert sent.verbs == ["DBCONNECT"]


def test_a_wrong_batch_operation_is_an_error_before_anything_is_sent():
    batch = WriteBatch(transport="fake")
    with pytest.raises(UsageError):
        batch.Put("k", 5)  # type: ignore[arg-type]
    assert len(batch) == 0
    batch.disconnect()
