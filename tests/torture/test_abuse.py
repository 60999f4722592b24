from torture import abuse


def test_abuse_over_one_way_costs_bounded_memory_and_no_answer(tmp_path):
    assert abuse.run(tmp_path, "keys").violations == []
