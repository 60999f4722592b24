"""A database as a mapping: what Python's protocols say, beside a dict, and what is one request or one step."""

import asyncio
import threading
from collections.abc import MutableMapping

import pytest
from hypothesis import given, settings, strategies as st

from pyelevator import AsyncElevator, Elevator, KeyNotFound, UsageError
from pyelevator.interceptors import hooks
from pyelevator.testing.portals import Portal
from pyelevator.transports import FakeTransport
from support.old_servers import KINDS, OldServer


@pytest.fixture
def E():
    with Elevator(transport="fake") as client:
        yield client


@pytest.fixture
def m(E):
    return E.mapping()


@pytest.fixture
def seen():
    return []


@pytest.fixture
def watched(seen):
    watch = hooks(on_request=lambda request: seen.append(request.command.verb))
    with Elevator(transport="fake", interceptors=[watch]) as client:
        seen.clear()
        yield client.mapping()


def test_it_is_a_mutable_mapping(m):
    assert isinstance(m, MutableMapping)


def test_what_a_mapping_does(E, m):
    m["b"] = "2"
    m["a"] = "1"
    assert (m["a"], m[b"a"], E.Get("a")) == ("1", "1", "1")
    assert ("a" in m, "x" in m, 7 in m, None in m) == (True, False, False, False)
    assert (m.get("a"), m.get("x"), m.get("x", 7)) == ("1", None, 7)
    assert (list(m), list(m.keys()), list(m.values()), list(m.items())) == (
        ["a", "b"], ["a", "b"], ["1", "2"], [("a", "1"), ("b", "2")],
    )  # fmt: skip
    assert (list(reversed(m)), list(reversed(m.items())), list(reversed(m.values()))) == (
        ["b", "a"], [("b", "2"), ("a", "1")], ["2", "1"],
    )  # fmt: skip
    assert (len(m), len(m.items()), bool(m), dict(m), m == {"a": "1", "b": "2"}) == (
        2,
        2,
        True,
        {"a": "1", "b": "2"},
        True,
    )
    assert (("a", "1") in m.items(), ("a", "2") in m.items(), "1" in m.values(), "3" in m.values()) == (
        True, False, True, False,
    )  # fmt: skip
    del m["a"]
    assert dict(m) == {"b": "2"}


def test_a_missing_key_is_a_key_error(m):
    for ask in (lambda: m["x"], lambda: m.pop("x"), lambda: m.__delitem__("x")):
        with pytest.raises(KeyError) as caught:
            ask()
        assert isinstance(caught.value, KeyNotFound)
        assert caught.value.key == "x"
    assert m.pop("x", 7) == 7
    with pytest.raises(KeyError, match="empty"):
        m.popitem()


def test_setdefault_pop_popitem_update_and_clear(m):
    assert (m.setdefault("a", "1"), m.setdefault("a", "2")) == ("1", "1")
    m.update({"b": "2"}, c="3")
    m.update([("d", "4"), (bytearray(b"e"), b"5")])
    m |= {"f": "6"}
    assert dict(m) == {"a": "1", "b": "2", "c": "3", "d": "4", "e": "5", "f": "6"}
    assert (m.pop("b"), m.popitem()) == ("2", ("a", "1"))
    m.clear()
    assert (dict(m), bool(m), len(m)) == ({}, False, 0)


@pytest.mark.parametrize("wrong", [{"a": 1}, {1: "a"}, [("a", "1", "2")], 7])
def test_an_update_that_is_wrong_writes_nothing(m, wrong):
    with pytest.raises((TypeError, ValueError)):
        m.update([("k", "v"), *wrong] if isinstance(wrong, list) else wrong)
    assert dict(m) == {}


def test_an_update_is_one_batch_and_items_come_by_pages(watched, seen):
    watched.update({f"{number:03}": "v" for number in range(500)})
    assert seen == ["BATCH"]
    seen.clear()
    assert sum(1 for _ in watched.items()) == 500
    assert set(seen) == {"SLICE"}
    assert len(seen) < 5


@pytest.mark.parametrize(
    ("use", "verbs"),
    [
        (lambda m: m.setdefault("k", "v"), ["PUTIFABSENT", "GET"]),
        (lambda m: m.pop("k", None), ["GETANDDELETE"]),
        (len, ["COUNT"]),
        (bool, ["SLICE"]),
        (lambda m: m.clear(), ["DELETERANGE"]),
    ],
    ids=["setdefault", "pop", "len", "bool", "clear"],
)
def test_what_is_one_step_is_one_request(watched, seen, use, verbs):
    use(watched)
    assert [verb.replace("CONDITIONALBATCH", "PUTIFABSENT") for verb in seen] == verbs


def test_bytes_go_in_and_come_out():
    with Elevator(transport="fake", encoding=None) as E:
        m = E.mapping()
        m[b"\xff"] = "1"
        assert (list(m.items()), m[b"\xff"]) == ([(b"\xff", b"1")], b"1")


def test_a_mapping_of_a_view_and_of_a_snapshot(E):
    m = E.prefix("p:").mapping()
    m["k"] = "before"
    E.Put("q", "of others")
    with E.prefix("p:").snapshot() as s:
        m["k"] = "after"
        assert (dict(s.mapping()), len(s.mapping())) == ({"k": "before"}, 1)
        with pytest.raises(UsageError, match="a snapshot is only read"):
            s.mapping()["k"] = "x"
        with pytest.raises(UsageError, match="a snapshot is only read"):
            del s.mapping()["k"]
    m.clear()
    assert E.Range() == [["q", "of others"]]


@pytest.mark.parametrize("kind", KINDS)
def test_a_mapping_of_an_old_server_says_what_it_cannot_do(kind):
    server = OldServer(kind)
    with Elevator(transport=server, dialect=server.dialect) as E:
        m = E.mapping()
        m.update(a="1", b="2")
        assert (dict(m), len(m), list(m), bool(m), "a" in m, m.get("x")) == (
            {"a": "1", "b": "2"}, 2, ["a", "b"], True, True, None,
        )  # fmt: skip
        for ask in (lambda: m.pop("a"), lambda: m.setdefault("c", "3"), lambda: m.__delitem__("a"), m.clear):
            with pytest.raises(UsageError, match="nothing was sent"):
                ask()
        assert dict(m) == {"a": "1", "b": "2"}


def test_threads_pop_each_item_once():
    with Elevator(transport="fake") as E:
        m = E.mapping()
        m.update({str(number): "v" for number in range(200)})
        popped = []

        def pop():
            while True:
                try:
                    popped.append(m.popitem()[0])
                except KeyError:
                    return

        threads = [threading.Thread(target=pop) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(popped) == sorted(map(str, range(200)))


TEXT = st.text(max_size=3)


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.sampled_from(["set", "del", "pop", "setdefault", "update", "popitem"]), TEXT, TEXT), max_size=12
    )
)
def test_a_mapping_is_like_a_dict(steps):
    with Elevator(transport="fake") as E:
        m, model = E.mapping(), {}
        for step, key, value in steps:
            if step == "set":
                m[key] = model[key] = value
            elif step == "del":
                assert (key in m) is (model.pop(key, None) is not None)
                if key in m:
                    del m[key]
            elif step == "pop":
                assert m.pop(key, "none") == model.pop(key, "none")
            elif step == "setdefault":
                assert m.setdefault(key, value) == model.setdefault(key, value)
            elif step == "update":
                m.update({key: value, value: key})
                model.update({key: value, value: key})
            elif model:
                first = min(model, key=str.encode)
                assert m.popitem() == (first, model.pop(first))
        assert dict(m) == model
        assert list(m) == sorted(model, key=str.encode)


def test_the_async_counterpart():
    async def main():
        async with AsyncElevator(transport=FakeTransport()) as E:
            m = E.mapping()
            await m.set("b", "2")
            await m.update({"a": "1"}, c="3")
            assert (await m["a"], await m.get("x", 7), await m.contains("a"), await m.contains(7)) == (
                "1",
                7,
                True,
                False,
            )
            assert ([key async for key in m], await anext(m.keys())) == (["a", "b", "c"], "a")
            assert [value async for value in m.values()] == ["1", "2", "3"]
            assert [pair async for pair in m.items()] == [("a", "1"), ("b", "2"), ("c", "3")]
            assert (await m.setdefault("a", "x"), await m.setdefault("d", "4"), await m.count()) == ("1", "4", 4)
            assert (await m.pop("d"), await m.pop("d", None), await m.popitem()) == ("4", None, ("a", "1"))
            await m.delete("b")
            for ask in (m["b"], m.delete("b"), m.pop("b")):
                with pytest.raises(KeyNotFound) as caught:
                    await ask
                assert caught.value.key == "b"
            await m.clear()
            assert await m.count() == 0
            with pytest.raises(KeyError, match="empty"):
                await m.popitem()

    asyncio.run(main())


@pytest.mark.parametrize("kind", KINDS)
def test_the_async_count_of_an_old_server(kind):
    async def main():
        async with AsyncElevator(transport=server, dialect=server.dialect) as E:
            await E.mapping().update(a="1", b="2")
            return await E.mapping().count()

    server = OldServer(kind)
    with Portal() as portal:
        assert portal.run(main()) == 2
