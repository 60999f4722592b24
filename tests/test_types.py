"""What type checkers see: str and bytes clients and the parts of ranges are told apart, and wrong calls are found."""

import json
import re
import subprocess
import sys

import pytest
from mypy import api

RANGES = {
    "": "list[{T}]",
    "include_value=False": "{T}",
    "include_key=False": "{T}",
    "include_key=True, include_value=False, prefix='a', reverse=True": "{T}",
    "prefix='a', reverse=True": "list[{T}]",
}
"""Arguments of a range -> its items."""
EITHER = "include_key=flag, include_value=flag"

REVEALED = {
    "Elevator()": "Elevator[str]",
    "Elevator(create=True)": "Elevator[str]",
    "Elevator(encoding=None)": "Elevator[bytes]",
    "Elevator().Get('k')": "str",
    "Elevator(encoding=None).Get('k')": "bytes",
    "Elevator().MGet(['k'])": "list[str | None]",
    "Elevator(encoding=None).MGet((b'k', 'l'))": "list[bytes | None]",
    "Elevator(encoding=None).Slice('a', 2)": "list[list[bytes]]",
    f"Elevator().Range({EITHER})": "list[list[str]] | list[str]",
    f"Elevator().Slice('a', 2, {EITHER})": "list[list[str]] | list[str]",
    f"Elevator().RangeIter({EITHER})": "RangeIter[list[str]] | RangeIter[str]",
    f"AsyncElevator().RangeIter({EITHER})": "AsyncRangeIter[list[str]] | AsyncRangeIter[str]",
    "next(Elevator().RangeIter())": "list[str]",
    "next(iter(Elevator().RangeIter(include_value=False, consistent=True)))": "str",
    "Elevator().listdb()": "list[str]",
    "Elevator().mapping()['k']": "str",
    "Elevator().mapping().get('k')": "str | None",
    "Elevator(encoding=None).mapping().pop(b'k')": "bytes",
    "dict(Elevator(encoding=None).mapping())": "dict[bytes, bytes]",
    "list(Elevator().mapping().items())": "list[tuple[str, str]]",
    "Elevator().prefix('p').Get('k')": "str",
    "Elevator(encoding=None).prefix('p')": "Elevator[bytes]",
    "Elevator(encoding=None).snapshot().Range()": "list[list[bytes]]",
    "Elevator().snapshot('orders')": "Snapshot[str]",
    "Elevator().snapshot('orders').database('orders').RangeIter(include_value=False)": "RangeIter[str]",
    "AsyncElevator(encoding=None).snapshot()": "AsyncSnapshot[bytes]",
    "Elevator().Exists('k')": "bool",
    "WriteBatch()": "WriteBatch[str]",
    "Elevator(encoding=None).WriteBatch()": "WriteBatch[bytes]",
    "Elevator.from_url('fake://')": "Elevator[str]",
    "WriteBatch.from_url('fake://')": "WriteBatch[str]",
    "AsyncElevator.from_url('fake://')": "AsyncElevator[str]",
    "Elevator[bytes].from_url('fake://?encoding=none')": "Elevator[bytes]",
    "Elevator[bytes].from_url('fake://?encoding=none').Get('k')": "bytes",
}
"""Expression -> its type."""
for args, item in RANGES.items():
    text, raw = item.format(T="str"), item.format(T="bytes")
    REVEALED |= {
        f"Elevator().Range({args})": f"list[{text}]",
        f"Elevator(encoding=None).Range('a', 9, {args})": f"list[{raw}]",
        f"Elevator().Slice(None, 9, {args})": f"list[{text}]",
        f"Elevator().RangeIter({args})": f"RangeIter[{text}]",
        f"Elevator(encoding=None).RangeIter({args})": f"RangeIter[{raw}]",
        f"AsyncElevator(encoding=None).RangeIter({args})": f"AsyncRangeIter[{raw}]",
        f"Elevator().pipeline().Range({args})": f"PipelineResult[list[{text}]]",
        f"AsyncElevator().pipeline().Slice('a', 9, {args.replace(chr(32) + 'prefix=' + repr('a') + ',', '').replace('prefix=' + repr('a') + ', ', '')})": f"PipelineResult[list[{text}]]",
    }
AWAITED = {
    "await AsyncElevator().Get('k')": "str",
    "await AsyncElevator().mapping()['k']": "str",
    "await AsyncElevator().mapping().popitem()": "tuple[str, str]",
    "await AsyncElevator().snapshot()": "AsyncSnapshot[str]",
    "await AsyncElevator(encoding=None).Get('k')": "bytes",
    f"await AsyncElevator().Range({EITHER})": "list[list[str]] | list[str]",
    **{
        f"await AsyncElevator().{call}{args})": f"list[{item.format(T='str')}]"
        for args, item in RANGES.items()
        for call in ("Range(", "Slice('a', 9, ")
    },
}
"""The same of what is awaited."""
REFUSED = [
    "Elevator().Put('abc', 123)",
    "Elevator().Slice('a', 'b')",
    "Elevator(timeout='1')",
    "Elevator().Get()",
    "Elevator().Range(include_keys=False)",
    "Elevator().Range(consistent=True)",
    "Elevator().RangeIter(prefix=7)",
]

HEAD = "from pyelevator import AsyncElevator, Elevator, WriteBatch\n\nflag: bool = bool(input())\n"
LINES = [f"reveal_type({expression})" for expression in REVEALED] + REFUSED
ASYNC_LINES = [f"    reveal_type({expression})" for expression in AWAITED]
PROGRAM = HEAD + "\n".join([*LINES, "async def main() -> None:", *ASYNC_LINES]) + "\n"
EXPECTED = REVEALED | AWAITED


def line_of(expression):
    """The number of the line in which an expression stands."""
    return next(number for number, line in enumerate(PROGRAM.splitlines(), 1) if line.strip() == expression)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp("types") / "program.py"
    path.write_text(PROGRAM)
    return path


@pytest.fixture(scope="module")
def by_mypy(program):
    """What mypy says of each line."""
    output, _, _ = api.run(["--strict", "--cache-dir", str(program.parent / "cache"), str(program)])
    found = re.findall(r"program\.py:(\d+): (error|note): (.*)", output)
    return [(int(number), kind, text) for number, kind, text in found]


@pytest.fixture(scope="module")
def by_pyright(program):
    """What pyright says of each line, as basedpyright, which is pyright with its JavaScript in a wheel."""
    pytest.importorskip("basedpyright", reason="pip install --group lint")
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable, str(program)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200, cwd=program.parent)
    return [
        (
            found["range"]["start"]["line"] + 1,
            {"information": "note"}.get(found["severity"], found["severity"]),
            found["message"],
        )
        for found in json.loads(ran.stdout)["generalDiagnostics"]
    ]


@pytest.fixture(params=["mypy", "pyright"])
def seen(request):
    return request.getfixturevalue(f"by_{request.param}")


def shown(text):
    """The type in a note, without the modules of its names and whatever else tells the checkers apart."""
    revealed = text.partition(' is "')[2].rpartition('"')[0]
    revealed = re.sub(r"\b(?:\w+\.)+(?=\w)", "", revealed)
    return re.sub(r"Union\[(.*), (.*)\]$", r"\1 | \2", revealed)


@pytest.mark.parametrize("expression", EXPECTED)
def test_an_expression_has_its_type(seen, expression):
    number = line_of(f"reveal_type({expression})")
    (note,) = [text for line, kind, text in seen if line == number and "ype" in text and kind == "note"]
    assert shown(note) == EXPECTED[expression]


@pytest.mark.parametrize("expression", REFUSED)
def test_a_wrong_call_is_found(seen, expression):
    assert [kind for line, kind, _ in seen if line == line_of(expression) and kind == "error"]


def test_nothing_else_is_found_to_be_wrong(seen):
    wrong = {line_of(expression) for expression in REFUSED}
    assert [(line, text) for line, kind, text in seen if kind == "error" and line not in wrong] == []
