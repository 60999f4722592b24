"""What a type checker sees: str and bytes clients are told apart, and wrong calls are found."""

from pathlib import Path

import pytest
from mypy import api

REVEALED = {
    "Elevator()": "Elevator[str]",
    "Elevator(encoding=None)": "Elevator[bytes]",
    "Elevator().Get('k')": "str",
    "Elevator(encoding=None).Get('k')": "bytes",
    "Elevator().MGet(['k'])": "list[str | None]",
    "Elevator(encoding=None).MGet((b'k', 'l'))": "list[bytes | None]",
    "Elevator().Range()": "list[list[str]]",
    "Elevator(encoding=None).Slice('a', 2)": "list[list[bytes]]",
    "Elevator().Range(include_key=False)": "list[Any]",
    "next(Elevator().RangeIter())": "list[str]",
    "Elevator().listdb()": "list[str]",
    "Elevator().Exists('k')": "bool",
    "WriteBatch()": "WriteBatch[str]",
    "Elevator(encoding=None).WriteBatch()": "WriteBatch[bytes]",
    "Elevator.from_url('fake://')": "Elevator[str]",
    "Elevator[bytes].from_url('fake://?encoding=none')": "Elevator[bytes]",
    "Elevator[bytes].from_url('fake://?encoding=none').Get('k')": "bytes",
}
REFUSED = ["Elevator().Put('abc', 123)", "Elevator().Slice('a', 'b')", "Elevator(timeout='1')", "Elevator().Get()"]


@pytest.fixture(scope="module")
def seen(tmp_path_factory) -> list[str]:
    folder: Path = tmp_path_factory.mktemp("types")
    lines = [f"reveal_type({expression})" for expression in REVEALED] + REFUSED
    (folder / "snippet.py").write_text("from pyelevator import Elevator, WriteBatch\n" + "\n".join(lines) + "\n")
    output, _, _ = api.run(["--strict", "--cache-dir", str(folder / "cache"), str(folder / "snippet.py")])
    return output.splitlines()


def about(seen, number):
    return [line for line in seen if f"snippet.py:{number}:" in line]


@pytest.mark.parametrize("expression", REVEALED)
def test_an_expression_has_its_type(seen, expression):
    number = 2 + list(REVEALED).index(expression)
    (note,) = about(seen, number)
    shown = note.partition('"')[2].removesuffix('"')
    for module in ("client.sync.elevator.", "client.sync.batch."):
        shown = shown.replace(f"pyelevator.{module}", "")
    assert shown.replace("builtins.", "").replace("Union[str, None]", "str | None") == REVEALED[expression]


@pytest.mark.parametrize("expression", REFUSED)
def test_a_wrong_call_is_found(seen, expression):
    number = 2 + len(REVEALED) + REFUSED.index(expression)
    assert any("error:" in line for line in about(seen, number))
