"""Histograms of latencies."""

import pytest
from hypothesis import given, strategies as st

from pyelevator.application.monitoring.latencies import Histogram, RecentHistogram, bucket_of, upper_bound
from pyelevator.monitoring import Latency


@given(st.floats(0, 10_000))
def test_a_latency_is_within_an_eighth_of_its_bucket(seconds):
    bound = upper_bound(bucket_of(seconds))
    assert seconds <= bound + 1e-9
    assert bound <= seconds * 1.125 + 2e-6


@given(st.integers(0, 1000))
def test_buckets_are_numbered_without_gaps(bucket):
    assert bucket_of(upper_bound(bucket) + 1e-7) == bucket + 1


def test_percentiles_are_those_of_what_was_added():
    histogram = Histogram()
    for i in range(1, 1001):
        histogram.add(i / 1000)
    found = histogram.summary()
    assert found.p50 == pytest.approx(0.5, rel=0.13)
    assert found.p99 == pytest.approx(0.99, rel=0.13)
    assert found.max == 1.0
    assert found.mean == pytest.approx(0.5005)


def test_one_that_stands_for_many_weighs_as_many():
    histogram = Histogram()
    histogram.add(0.001, 99)
    histogram.add(1.0)
    found = histogram.summary()
    assert found.p50 == pytest.approx(0.001, rel=0.13)
    assert (found.max, histogram.total) == (1.0, 100)


def test_no_percentile_is_above_the_maximum_and_nothing_is_none():
    histogram = Histogram()
    assert histogram.summary() == Latency()
    histogram.add(0.0100001)
    found = histogram.summary()
    assert found.p50 == found.p99 == found.max == 0.0100001


def test_merged_histograms_hold_what_both_held():
    one, other = Histogram(), Histogram()
    one.add(0.001)
    other.add(0.1)
    both = Histogram.merged([one, other])
    assert (both.total, both.max) == (2, 0.1)
    assert both.cumulative((0.0005, 0.01, 1.0)) == {0.0005: 0, 0.01: 1, 1.0: 2}


def test_recent_latencies_are_forgotten_after_a_minute():
    now = 1000.0
    recent = RecentHistogram(lambda: now)
    recent.add(2.0)
    now = 1030.0
    recent.add(0.001, 3)
    assert (recent.merged().total, recent.merged().max) == (4, 2.0)
    now = 1059.0
    assert recent.merged().total == 4
    now = 1060.0
    assert (recent.merged().total, recent.merged().max) == (3, 0.001)
    now = 1090.0
    assert recent.merged().total == 0
    recent.add(0.5)
    assert recent.merged().total == 1
