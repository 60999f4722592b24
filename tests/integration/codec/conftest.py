"""The recorded traffic of the two old servers."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from attrs import frozen

VECTORS = Path(__file__).parents[2] / "vectors"


@frozen
class Line:
    """One recorded request and its replies."""

    request: list[bytes]
    replies: list[list[bytes]]


def frames(row: list[str]) -> list[bytes]:
    return [bytes.fromhex(frame) for frame in row]


def load(dialect: str) -> Mapping[str, Line]:
    rows = map(json.loads, (VECTORS / f"{dialect}.jsonl").read_text().splitlines())
    return {row["name"]: Line(frames(row["request"]), list(map(frames, row["replies"]))) for row in rows}


@pytest.fixture(scope="session")
def classic_lines() -> Mapping[str, Line]:
    """Name -> recording of the old Python server."""
    return load("classic")


@pytest.fixture(scope="session")
def flat_lines() -> Mapping[str, Line]:
    """Name -> recording of the old Go server."""
    return load("flat")
