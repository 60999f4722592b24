"""Connections cut at random points around the commits of a writer, beside another writer of the same keys."""

import threading
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any

from attrs import define, field

from pyelevator.commands import DELETE, PUT
from pyelevator.engines.base import EngineConflict, EngineError, EngineOutcomeUnknown, EngineUnavailable
from pyelevator.engines.postgresql import PostgreSqlStorage
from support.cutting import CuttingRelay
from support.postgresql import PostgreSql
from torture.linearizability import UNKNOWN, Operation, linearizable
from torture.report import Findings, count

_PROBABILITY = 0.03
_CALLS = 4


@define
class Tally:
    """What the writes of all rounds came to."""

    succeeded: int = 0
    unknown: int = 0
    failed: int = 0
    histories: int = 0
    others: list[str] = field(factory=list)
    violations: list[str] = field(factory=list)


def perform(engine: Any, tally: Tally, keys: list[bytes], word: str, write: bool) -> Operation | None:
    """Make one call; None for one that was not executed."""
    start = monotonic()
    try:
        if not write:
            values = engine.multi_get(keys)
            return Operation(
                start,
                monotonic(),
                {key.decode(): value and value.decode() for key, value in zip(keys, values, strict=True)},
            )
        engine.write([(PUT, key, word.encode()) for key in keys])
        tally.succeeded += 1
        return Operation(start, monotonic(), {}, dict.fromkeys([key.decode() for key in keys], word))
    except EngineOutcomeUnknown:
        tally.unknown += 1
        return Operation(start, UNKNOWN, {}, dict.fromkeys([key.decode() for key in keys], word))
    except (EngineUnavailable, EngineConflict):
        tally.failed += 1
    except EngineError as error:
        tally.others.append(str(error))
    return None


def play(engines: list[Any], tally: Tally, number: int) -> None:
    """One round: every engine writes and reads the same two keys, and one that is not cut reads them in the end."""
    keys = [b"%d/a" % number, b"%d/b" % number]
    barrier = threading.Barrier(len(engines))

    def work(index: int) -> list[Operation | None]:
        barrier.wait()
        return [
            perform(engines[index], tally, keys if i % 2 else keys[:1], f"{index}.{i}", write=(i + index) % 3 != 2)
            for i in range(_CALLS)
        ]

    with ThreadPoolExecutor(len(engines)) as pool:
        history = [one for done in pool.map(work, range(len(engines))) for one in done if one is not None]
    last = perform(engines[-1], tally, keys, "", write=False)
    tally.histories += 1
    if not linearizable([*history, *([last] if last else [])]):
        tally.violations.append(f"round {number} has no order that explains what was seen: {history} {last}")
    engines[-1].write([(DELETE, key) for key in keys])


def run(cuts: int, seed: int = 1) -> Findings:
    """Play rounds until so many connections were cut."""
    tally, start = Tally(), monotonic()
    with PostgreSql() as server, CuttingRelay(server.port, seed) as relay:
        schema = server.new_schema()
        direct = PostgreSqlStorage.from_url(f"{server.url}?schema={schema}")
        cut_url = server.url.replace(f":{server.port}/", f":{relay.port}/")
        cut = [PostgreSqlStorage.from_url(f"{cut_url}?schema={schema}") for _ in range(2)]
        engines = [storage.open("cut", {}) for storage in (*cut, direct)]
        relay.probability, number = _PROBABILITY, 0
        while relay.cuts < cuts:
            play(engines, tally, number)
            number += 1
        relay.probability = 0.0
        for storage in (*cut, direct):
            storage.close()
    figures = {
        "connections cut": count(relay.cuts),
        "histories of two keys": count(tally.histories),
        "writes that succeeded": count(tally.succeeded),
        "writes of unknown outcome, named so": count(tally.unknown),
        "writes that failed, as nothing was done": count(tally.failed),
        "seconds": f"{monotonic() - start:,.0f}",
    }
    return Findings(
        "Connections cut around COMMIT",
        "Two storages reach PostgreSQL through a relay that cuts their connections before, within and behind random chunks "
        "of bytes in both directions; a third one is not cut. All write and read the same two keys. Every history must be "
        "linearizable: a reported success took effect in its time, a reported failure never, an unknown one may have.",
        figures,
        [*tally.violations[:5], *[f"an error of another kind: {text}" for text in tally.others[:5]]],
    )
