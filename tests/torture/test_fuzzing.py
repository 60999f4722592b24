import sys

import pytest

from torture import fuzzing

ENDS = {
    "well": ("#9 DONE cov: 86 ft: 1\nstat::number_of_executed_units: 1234\n", 0, ("1,234", "86", "0"), []),
    "badly": ("#9 NEW cov: 7 ft: 1\nERROR\n", 77, ("0", "7", "1"), ["an input failed"]),
}


@pytest.mark.parametrize("end", ENDS)
def test_the_figures_are_those_of_the_fuzzer(end, monkeypatch):
    text, code, figures, faults = ENDS[end]
    script = f"import sys; sys.stderr.write({text!r}); sys.exit({code})"
    monkeypatch.setattr(fuzzing, "command", lambda name, seconds: [sys.executable, "-c", script])
    monkeypatch.setattr(fuzzing, "TARGETS", {"one": None})
    monkeypatch.setattr(fuzzing, "find_spec", lambda name: name)
    found = fuzzing.run(seconds=1)
    assert found.figures == {"one": figures}
    assert [violation.partition("; ")[0] for violation in found.violations] == [f"one: {fault}" for fault in faults]


def test_without_atheris_it_says_that_it_was_not_done(monkeypatch):
    monkeypatch.setattr(fuzzing, "find_spec", lambda name: None)
    found = fuzzing.run(seconds=1)
    assert found.how == "Not done in this run: atheris is not installed (`make fuzz` installs it)."
    assert found.violations == []
