"""What the project says of itself: one version, groups that are not published, one list of Pythons, files that belong together."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest

import pyelevator

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "pyelevator"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MAKEFILE = (ROOT / "Makefile").read_text()
WORKFLOW = (ROOT / ".github/workflows/test.yml").read_text()
HOOKS = (ROOT / ".pre-commit-config.yaml").read_text()
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]


def test_the_version_stands_in_one_place():
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert PROJECT["tool"]["hatch"]["version"] == {"path": "src/pyelevator/__init__.py"}
    assert importlib.metadata.version("pyelevator") == pyelevator.__version__


def test_what_only_the_project_needs_is_not_published():
    assert sorted(PROJECT["project"]["optional-dependencies"]) == [
        "all", "cli", "console", "curve", "lz4", "metrics", "otel", "postgres", "server", "shell", "testing", "zstd",
    ]  # fmt: skip
    assert {"dev", "docs", "bench", "fuzz", "torture", "cover"} <= set(PROJECT["dependency-groups"])


def test_the_extra_all_brings_what_each_optional_feature_needs():
    extras = PROJECT["project"]["optional-dependencies"]
    features = [name for name in extras if name not in ("all", "testing")]
    assert sorted(extras["all"]) == sorted(package for name in features for package in extras[name])


def test_coverage_is_measured_in_all_processes_and_has_a_floor():
    coverage = PROJECT["tool"]["coverage"]
    assert coverage["run"]["branch"] is coverage["run"]["parallel"] is True
    assert coverage["run"]["patch"] == ["subprocess"]
    assert coverage["report"]["fail_under"] >= 89


def test_each_group_that_make_installs_is_there():
    installed = re.findall(r"--group (\w+)", MAKEFILE + (ROOT / ".ci/pythons").read_text())
    assert set(installed) - set(PROJECT["dependency-groups"]) == set()
    assert len(installed) >= 8


@pytest.mark.parametrize("where", [WORKFLOW, (ROOT / ".ci/run").read_text()], ids=["workflow", "ci"])
def test_ci_calls_targets_that_make_has(where):
    called = set(re.findall(r"^[ -]*(?:run: )?make (\w+)", where, re.MULTILINE))
    assert {"lint", "demo", "docs", "test"} <= called
    assert called - set(re.findall(r"^(\w+):", MAKEFILE, re.MULTILINE)) == set()


def test_the_pythons_of_the_workflow_are_those_of_the_package():
    versions = re.search(r"python: \[(.*)\]", WORKFLOW)
    assert versions is not None
    assert re.findall(r"[\d.]+", versions[1]) == PYTHONS
    classifiers = PROJECT["project"]["classifiers"]
    assert [c.rpartition(" ")[2] for c in classifiers if re.search(r":: 3\.\d+$", c)] == PYTHONS
    assert PROJECT["project"]["requires-python"] == f">={PYTHONS[0]}"
    assert f"for version in {' '.join(PYTHONS)}; do" in (ROOT / ".ci/pythons").read_text()


def test_hooks_call_the_project_s_own_tools_only():
    assert re.findall(r"repo: (\S+)", HOOKS) == ["local"]
    entries, languages = re.findall(r"entry: (\S+)", HOOKS), re.findall(r"language: (\S+)", HOOKS)
    assert entries == [".venv/bin/ruff", ".venv/bin/ruff", ".venv/bin/mypy", ".venv/bin/python"]
    assert languages == ["system"] * len(entries)


def test_the_source_distribution_holds_what_make_and_the_pages_need():
    included = PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    missing = [name for name in included if not (ROOT / name.lstrip("/")).exists()]
    assert missing == []
    needed = [
        "src",
        "tests",
        "examples",
        "docs",
        "benchmarks",
        "findings",
        "Makefile",
        ".ci",
        "README.md",
        "CHANGELOG.md",
    ]
    assert [name for name in needed if f"/{name}" not in included] == []


def test_directories_and_files_marked_slow_are_there():
    text = (ROOT / "tests/conftest.py").read_text()
    slow = re.findall(r'^    "([\w/.]+)",$', text.partition("SLOW = [")[2].partition("]")[0], re.MULTILINE)
    assert {"console", "torture"} <= set(slow)
    assert [name for name in slow if not (ROOT / "tests" / name).exists()] == []


def test_a_test_is_slow_by_its_directory(request):
    slow = [item for item in request.session.items if item.get_closest_marker("slow")]
    marked = {item.path.relative_to(ROOT / "tests").parts[0] for item in slow}
    assert request.node.get_closest_marker("slow") is None
    assert marked <= {
        "application",
        "auth",
        "cli",
        "client",
        "codec",
        "conformance",
        "console",
        "docs",
        "engines",
        "fuzz",
        "integration",
        "native",
        "proxy",
        "server",
        "test_types.py",
        "testing",
        "torture",
        "transports",
    }


BESIDE_ROOMS = {"cluster", "conformance", "docs", "fuzz", "native", "torture"}
"""Directories of tests of no room: suites over every transport, pages, the extension, programs."""
OF_THE_PROJECT = {"benchmarks", "imports", "packaging", "project", "public", "readme", "types", "words"}
"""What the files directly in ``tests`` test beside modules."""


def has_its_place(test):
    """Whether a file of tests, relative to ``tests``, stands where the module or the behaviour that it tests says."""
    directory, name = test.parent, test.stem.removeprefix("test_")
    first = test.parts[0]
    if first in BESIDE_ROOMS or (directory == Path() and name in OF_THE_PROJECT):
        return True
    if first == "integration":
        return (SOURCE / directory.relative_to("integration")).is_dir()
    if name == directory.name:
        return (SOURCE / directory).is_dir()
    twins = [SOURCE / directory, SOURCE / directory / "sync"]
    return any((room / module).exists() for room in twins for module in (f"{name}.py", f"_{name}.py", name))


def test_tests_follow_the_tree():
    tests = [path.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py")]
    advice = "name it tests/<room>/test_<module>.py, or move it to tests/integration/<room> if it tests behaviour"
    assert [str(test) for test in tests if not has_its_place(test)] == [], advice


@pytest.mark.parametrize(
    ("test", "right"),
    [
        ("codec/test_limits.py", True),
        ("codec/test_surprises.py", False),
        ("integration/codec/test_surprises.py", True),
        ("integration/surprises/test_limits.py", False),
        ("integration/test_surprises.py", True),
        ("client/test_mapping.py", True),
        ("test_flows.py", True),
        ("test_surprises.py", False),
        ("surprises/test_surprises.py", False),
    ],
)
def test_a_test_has_its_place_by_module_or_behaviour(test, right):
    assert has_its_place(Path(test)) is right


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "SECURITY.md", ".github/pull_request_template.md"])
def test_links_from_the_root_s_pages_lead_somewhere(name):
    page = ROOT / name
    links = re.findall(r"\]\((?!http|#)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_templates_name_files_that_are_there():
    text = "".join(path.read_text() for path in sorted((ROOT / ".github").rglob("*.*")))
    named = set(re.findall(r"(?:docs/)?[\w-]+\.md", text))
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_names_of_tests_are_short_enough_to_read():
    rooms = (ROOT / "tests", ROOT / "src" / "pyelevator" / "testing")
    names = {
        name
        for room in rooms
        for path in room.rglob("*.py")
        for name in re.findall(r"def (test_\w+)", path.read_text())
    }
    assert {name for name in names if len(name) > 70} == set()
