"""Which commands travel in one message."""

import pytest

from pyelevator.commands import PUT, Batch, ConditionalBatch, Get, MGet, Put, make_check
from pyelevator.commands.pipelines import chunk_commands, size_of

VALUE = 10 * b"v"


@pytest.mark.parametrize(
    ("command", "size"),
    [
        (Get("k"), (1, 0)),
        (Put("k", VALUE), (1, 10)),
        (MGet(["a", "b", "c"]), (3, 0)),
        (MGet([]), (1, 0)),
        (Batch([]), (1, 0)),
        (Batch([(PUT, "k", VALUE), (PUT, "l", VALUE)]), (2, 22)),
        (ConditionalBatch([(PUT, "k", VALUE)], [make_check("k", VALUE), make_check("l", VALUE)]), (3, 11)),
    ],
)
def test_a_command_says_its_elements_and_the_bytes_of_its_values(command, size):
    assert size_of(command) == size


@pytest.mark.parametrize(
    ("commands", "lengths"),
    [
        ([], []),
        (7 * [Get("k")], [3, 3, 1]),
        (4 * [Put("k", "v")], [3, 1]),
        (3 * [Put("k", VALUE)], [2, 1]),
        ([Put("k", 100 * b"v"), Get("k"), Get("l")], [1, 2]),
        ([Get("k"), Put("k", 100 * b"v"), Get("l")], [1, 1, 1]),
        ([Get("k"), MGet(["a", "b"]), Get("l")], [2, 1]),
        ([Get("k"), MGet(9 * ["a"]), Get("l")], [1, 1, 1]),
    ],
)
def test_commands_are_chunked_by_number_and_bytes_in_their_order(commands, lengths):
    chunks = list(chunk_commands(commands, commands, 3, 20))
    assert [len(chunk) for chunk in chunks] == lengths
    assert [command for chunk in chunks for command in chunk] == commands


def test_what_stands_for_the_commands_is_chunked_like_them():
    assert list(chunk_commands("abc", 3 * [Put("k", VALUE)], 9, 20)) == ["ab", "c"]
