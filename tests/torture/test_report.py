from torture import __main__ as torture
from torture.report import BEGIN, END, Findings, generated, percentile, renewed

FOUND = Findings("A try", "It was tried.", {"what": "1", "more": "2"})


def test_a_section_is_a_table_with_the_violations_below():
    assert FOUND.section() == (
        "### A try\n\nIt was tried.\n\n| figure | result |\n| --- | --- |\n| what | 1 |\n| more | 2 |\n\n"
    )
    broken = Findings("A try", "It was tried.", {"what": ("1", "2")}, ["it broke"], ("a", "b", "c"))
    assert broken.section().endswith(
        "| a | b | c |\n| --- | --- | --- |\n| what | 1 | 2 |\n\n- **VIOLATED**: it broke\n"
    )


def test_the_prose_around_the_figures_stays():
    part = generated([FOUND], "here", 61.0)
    document = renewed("# Reliability\n\nOurs.\n", part)
    assert document.startswith(f"# Reliability\n\nOurs.\n\n{BEGIN}\n\n## How it was tried")
    assert document.endswith(f"{END}\n")
    assert renewed(document, part) == document
    assert renewed(document + "\nMore of ours.\n", part) == document + "\nMore of ours.\n"


def test_percentiles():
    assert percentile([float(number) for number in range(101)], 99) == 99.0


def test_only_some_tries_leave_the_document_alone(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(torture, "DOCUMENT", tmp_path / "reliability.md")
    monkeypatch.setattr(torture, "TRIES", {"kills": lambda folder, sizes: FOUND})
    assert torture.main(["--only", "kills"]) == 0
    assert not torture.DOCUMENT.exists()
    assert "It was tried." in capsys.readouterr().out


def test_a_run_writes_the_document_and_fails_if_something_was_violated(monkeypatch, tmp_path):
    monkeypatch.setattr(torture, "DOCUMENT", tmp_path / "reliability.md")
    broken = Findings("Another", "It was tried.", {}, ["it broke"])
    monkeypatch.setattr(torture, "TRIES", {"one": lambda folder, sizes: FOUND, "two": lambda folder, sizes: broken})
    assert torture.main([]) == 1
    text = torture.DOCUMENT.read_text()
    assert text.startswith("# Reliability\n")
    assert "### A try" in text
    assert "- **VIOLATED**: it broke" in text
