from torture import syncs


def test_without_strace_it_says_that_it_was_not_done(tmp_path, monkeypatch):
    monkeypatch.setattr(syncs, "available", lambda: False)
    found = syncs.run(tmp_path, writes=1)
    assert found.how == "Not done in this run: strace is not installed, or not allowed."
    assert (found.figures, found.violations) == ({}, [])


def test_a_write_without_its_own_sync_is_found_unless_it_asked_for_none(tmp_path, monkeypatch):
    counts = {"Put": 0, "Put, sync=True": 9, "Put, --sync": 10}
    monkeypatch.setattr(syncs, "available", lambda: True)
    monkeypatch.setattr(syncs, "attempt", lambda folder, args, kinds, writes: counts)
    found = syncs.run(tmp_path, writes=10)
    assert found.violations == ["Put, sync=True: 9 syncs for 10 writes"]
    assert found.figures["Put"] == ("10", "0")
