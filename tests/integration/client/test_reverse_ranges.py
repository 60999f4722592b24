"""Ranges downwards give what ranges upwards give, whatever the bounds, and whatever stands in between."""

import pytest
from hypothesis import given, settings, strategies as st

from pyelevator import Elevator
from pyelevator.application import Application
from pyelevator.interceptors import Prefix
from pyelevator.transports import FakeTransport
from support.old_servers import KINDS, OldServer

keys = st.lists(st.sampled_from([b"", b"a", b"b", b"\xff"]), max_size=3).map(b"".join)
bounds = st.none() | keys
databases = st.dictionaries(keys, st.binary(max_size=2), max_size=20)
unhurried = settings(deadline=None, max_examples=50)
prefixes = st.sampled_from([b"", b"a", b"\xff", b"a\xff"])


def client(tenant, database, *, transport=None, dialect="classic"):
    """A client of a tenant with these pairs, beside keys of other tenants on both sides."""
    transport = transport or FakeTransport()
    interceptors = [Prefix(tenant)] if tenant else []
    with Elevator(transport=transport, encoding=None, dialect=dialect) as plain, plain.WriteBatch() as batch:
        if tenant:
            for key in (b"", b"Z", tenant[:-1], tenant + b"\xff\xff\xff\xff", b"b", b"\xff\xff\xff\xff"):
                batch.Put(key, b"other")
    E = Elevator(transport=transport, encoding=None, dialect=dialect, interceptors=interceptors)
    for key in E.Range(include_value=False):
        E.Delete(key)
    for key, value in database.items():
        E.Put(key, value)
    return E


@unhurried
@given(databases, bounds, bounds, bounds, prefixes)
def test_reverse_is_forward_reversed(database, start, stop, prefix, tenant):
    with client(tenant, database) as E:
        forward = E.Range(start, stop, prefix=prefix)
        assert E.Range(start, stop, prefix=prefix, reverse=True) == forward[::-1]
        assert list(E.RangeIter(start, stop, prefix=prefix, reverse=True)) == forward[::-1]


@unhurried
@given(databases, bounds, st.integers(0, 5), bounds, prefixes)
def test_counting_down_gives_the_last_pairs_up_to_a_key(database, start, count, prefix, tenant):
    with client(tenant, database) as E:
        below = E.Range(None, start, prefix=prefix)[::-1][:count]
        assert E.Slice(start, count, prefix=prefix, reverse=True) == below
        assert E.Slice(start, count, prefix=prefix, reverse=True, include_value=False) == [key for key, _ in below]
        assert list(E.RangeIter(start, count, prefix=prefix, reverse=True)) == below


@pytest.mark.parametrize("kind", KINDS)
@unhurried
@given(databases, bounds, bounds, st.none() | keys, st.booleans())
def test_of_an_old_server_a_range_is_asked_forwards_and_reversed_here(
    kind, database, start, stop, prefix, include_value
):
    old = OldServer(kind, Application.in_memory())
    with client(b"", database, transport=old, dialect=old.dialect) as E:
        forward = E.Range(start, stop, prefix=prefix, include_value=include_value)
        assert E.Range(start, stop, prefix=prefix, include_value=include_value, reverse=True) == forward[::-1]
