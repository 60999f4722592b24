"""The document of the cluster's tries keeps what was not tried anew."""

from cluster.report import BEGIN, END, renewed


def test_a_section_replaces_the_one_of_its_title():
    document = f"prose\n\n{BEGIN}\n\n## Figures\n\n### One\n\nold\n\n### Two\n\nkept\n\n{END}\n"
    document = renewed(document, ["### One\n\nnew\n", "### Three\n\nadded\n"])
    assert document.startswith("prose\n")
    assert document.split("### ", 1)[1] == f"One\n\nnew\n\n### Two\n\nkept\n\n### Three\n\nadded\n\n{END}\n"
    assert renewed(document, []) == document
