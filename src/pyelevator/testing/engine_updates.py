"""The conformance suite for engines that read and write in one step: what ``EngineConformance`` has, and updates.

Subclass :class:`UpdatingEngineConformance` in place of it for an engine that overrides ``Engine.update``, as every
engine has to for conditional batches.
"""

from concurrent.futures import ThreadPoolExecutor

import pytest

from pyelevator.commands import DELETE, PUT
from pyelevator.engines.base import Bounds, Capability, Decision, Engine, EngineBusy, ReadView, Storage
from pyelevator.testing.engines import LETTERS, EngineConformance


class UpdatingEngineConformance(EngineConformance):
    """Tests of ``Engine.update`` beside the others."""

    def test_an_update_writes_what_it_decides_and_returns_its_result(self, letters: Engine) -> None:
        def decide(view: ReadView) -> Decision[object]:
            keys = list(view.scan(Bounds(b"b", b"c", include_value=False)))
            found = view.get(b"a"), view.multi_get([b"c", b"x"]), keys
            return [(PUT, b"a", b"new"), (DELETE, b"b"), (PUT, b"x", b"")], found

        assert letters.update(decide) == (b"1", [b"4", None], [b"b", b"ba", b"c"])
        assert letters.multi_get([b"a", b"b", b"ba", b"x"]) == [b"new", None, b"3", b""]
        assert letters.update(lambda view: ([], view.get(b"x")), sync=True) == b""

    def test_an_update_that_raises_writes_nothing(self, letters: Engine) -> None:
        def decide(view: ReadView) -> Decision[None]:
            raise KeyError(view.get(b"a"))

        with pytest.raises(KeyError, match="1"):
            letters.update(decide)
        with pytest.raises((KeyError, EngineBusy)):  # an engine may always have to wait
            letters.update(decide, wait=False)
        assert list(letters.scan(Bounds())) == LETTERS
        letters.write([(PUT, b"a", b"2")])
        assert letters.get(b"a") == b"2"

    def test_a_snapshot_does_not_see_an_update(self, storage: Storage, letters: Engine) -> None:
        if Capability.SNAPSHOT not in storage.capabilities:
            return
        with letters.snapshot() as snapshot:
            letters.update(lambda _: ([(DELETE, b"a"), (PUT, b"b", b"new")], None))
            assert list(snapshot.scan(Bounds())) == LETTERS
        assert letters.multi_get([b"a", b"b"]) == [None, b"new"]

    def test_updates_and_writes_of_many_threads_do_not_mix(self, engine: Engine) -> None:
        engine.write([(PUT, b"n", b"0")])

        def add(view: ReadView) -> Decision[None]:
            number = int(view.get(b"n") or 0)
            keys = len(list(view.scan(Bounds(prefix=b"k", include_value=False))))
            return [(PUT, b"n", b"%d" % (number + 1)), (PUT, b"k%d" % keys, b"")], None

        def work() -> None:
            for _ in range(50):
                engine.update(add)
                engine.write([(PUT, b"other", b"")])

        with ThreadPoolExecutor(4) as threads:
            for ended in [threads.submit(work) for _ in range(4)]:
                ended.result()
        assert engine.get(b"n") == b"200"
        assert len(list(engine.scan(Bounds(prefix=b"k")))) == 200
