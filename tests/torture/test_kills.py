from support.optional import unwrap
from torture import kills
from torture.kills import Slot


def test_kills_under_load_lose_no_acknowledged_write_and_tear_no_batch(tmp_path):
    found = kills.run(tmp_path, kills=3, timeout=5.0)
    assert found.violations == []


def test_the_check_sees_what_is_lost_torn_or_old():
    slot = Slot("s", 4, acknowledged=2, latest=2)
    assert slot.check(slot.content(2)) is None
    assert "0 of 4 keys" in unwrap(slot.check({}))
    assert "in versions ['1'], not [2]" in unwrap(slot.check(slot.content(1)))
    assert "in versions ['1', '2']" in unwrap(slot.check({**slot.content(1), "s/000": slot.content(2)["s/000"]}))


def test_a_write_in_doubt_is_old_or_new_and_settled_by_the_first_look():
    slot = Slot("s", 4, acknowledged=2, latest=4, doubtful=4)
    assert slot.check(slot.content(4)) is None
    assert slot.acknowledged == 4
    assert "in versions ['2'], not [4]" in unwrap(slot.check(slot.content(2)))
