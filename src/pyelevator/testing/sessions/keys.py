"""Keys and their values, and what clients have in common."""

import pytest

from pyelevator import Elevator, KeyNotFound, UsageError
from pyelevator.testing.sessions.fixtures import Connect, SessionFixtures


class KeyConformance(SessionFixtures):
    """Tests of the methods about single keys, and of what travels as a key or a value."""

    def test_a_key_has_the_value_put_last_until_it_is_deleted(self, E: Elevator[str]) -> None:
        for value in ("123", "456"):
            assert E.Put("abc", value) is None
            assert E.Get("abc") == value
        assert E.Exists("abc") is True
        for _ in range(2):  # a missing key is no error
            assert E.Delete("abc") is None
            assert E.Exists("abc") is False

    def test_get_of_a_missing_key_is_a_key_error_with_the_documented_text(self, E: Elevator[str]) -> None:
        with pytest.raises(KeyError) as caught:
            E.Get("c")
        assert isinstance(caught.value, KeyNotFound)
        assert str(caught.value) == "Key not found"

    def test_mget_gives_values_in_order_and_none_for_missing(self, E: Elevator[str]) -> None:
        E.Put("abc", "123")
        E.Put("easy as", "do re mi")
        assert E.MGet(["abc", "easy as", "you and me"]) == ["123", "do re mi", None]
        assert E.MGet(("easy as", "abc"), fill_cache=True) == ["do re mi", "123"]

    def test_mget_is_right_for_duplicates_any_order_and_nothing(self, digits: Elevator[str]) -> None:
        assert digits.MGet(["9", "1", "x", "9", "0", "x"]) == ["9", "1", None, "9", "0", None]
        assert digits.MGet([]) == []

    def test_empty_values_and_keys_are_values_and_keys(self, E: Elevator[str]) -> None:
        E.Put("k", "")
        E.Put("", "v")
        assert E.Get("k") == ""
        assert E.Get("") == "v"
        assert E.Exists("k")
        assert E.Exists("")
        assert E.MGet(["k", "", "x"]) == ["", "v", None]
        assert E.Range() == [["", "v"], ["k", ""]]
        E.Delete("")
        assert not E.Exists("")

    def test_any_bytes_survive_the_round_trip_through_str(self, E: Elevator[str]) -> None:
        every_byte = bytes(range(256))
        E.Put("k", every_byte)
        text = E.Get("k")
        E.Put(text, text)
        assert E.Get(every_byte).encode("utf-8", "surrogateescape") == every_byte

    def test_encoding_none_gives_bytes(self, connect: Connect) -> None:
        with connect(Elevator, encoding=None) as B:
            B.Put("é", b"\xff")
            B.Put(bytearray(b"b"), memoryview(b"2"))
            assert B.Get("é") == b"\xff"
            assert B.MGet([b"b", b"x"]) == [b"2", None]
            assert B.Range() == [[b"b", b"2"], ["é".encode(), b"\xff"]]
            assert B.Slice(b"b", 1, include_value=False) == [b"b"]
            assert list(B.RangeIter(include_key=False)) == [b"2", b"\xff"]

    @pytest.mark.parametrize("size", [31, 32, 255, 256, 65_535, 65_536, 1_000_000])
    def test_values_of_every_length_class_come_back(self, E: Elevator[str], size: int) -> None:
        E.Put("k", "x" * size)
        assert E.Get("k") == "x" * size


class ClientConformance(SessionFixtures):
    """Tests of what clients can do beyond the methods: end, begin again, take a timeout, be several."""

    def test_disconnect_and_connect_again(self, E: Elevator[str]) -> None:
        E.Put("k", "v")
        E.disconnect()
        assert E.db_name is None
        with pytest.raises(UsageError, match="connect"):
            E.Get("k")
        E.connect()
        assert E.Get("k") == "v"

    def test_every_method_takes_a_timeout_in_seconds(self, digits: Elevator[str], connect: Connect) -> None:
        for name, *args in (
            *(("Put", "k", "v"), ("createdb", "testdb"), ("connect", "testdb"), ("connect", "default")),
            *(("mount", "testdb"), ("unmount", "testdb"), ("dropdb", "testdb"), ("Delete", "k")),
        ):
            assert getattr(digits, name)(*args, timeout=5) is None
        assert digits.listdb(timeout=5.0) == ["default"]
        assert digits.ping(timeout=5) == "PONG"
        assert digits.Get("1", timeout=5) == "1"
        assert digits.Exists("1", timeout=5)
        assert digits.MGet(["1"], timeout=5) == ["1"]
        assert digits.Range("1", "1", timeout=5) == [["1", "1"]]
        assert digits.Slice("1", 1, timeout=5) == [["1", "1"]]
        assert list(digits.RangeIter("9", timeout=5)) == [["9", "9"]]
        batch = digits.WriteBatch()
        batch.Put("k", "v")
        batch.Write(timeout=5)
        with pytest.raises(UsageError, match="timeout"):
            digits.Get("1", timeout="5")  # type: ignore[call-overload]

    def test_two_clients_see_each_others_writes(self, E: Elevator[str], connect: Connect) -> None:
        with connect(Elevator) as other:
            other.Put("k", "v")
            assert E.Get("k") == "v"
