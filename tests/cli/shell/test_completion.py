"""Completion scripts, in the shells that read them."""

import os
import shutil
import subprocess
import sys

import pytest

BASH = """
source <(elevator completion bash)
complete() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _elevator_completion elevator "${@: -1}"; echo "${COMPREPLY[@]}"; }
"""


@pytest.fixture
def shell(server_url):
    """Runs a text in a shell; what it prints."""
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    environment = {**os.environ, "ELEVATOR_URL": server_url, "PATH": path}

    def run(program, text):
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program} here")
        done = subprocess.run(
            [program, "-c", text], env=environment, check=False, capture_output=True, text=True, timeout=120
        )
        assert done.stderr == ""
        return done.stdout

    return run


def test_bash_completes_commands_options_and_databases(shell, db):
    db.createdb("tenants")
    asked = ["elevator data", "elevator get --he", "elevator drop te", "elevator range --db ''", "elevator nothing"]
    lines = shell("bash", BASH + "\n".join(f"complete {line}" for line in asked)).splitlines()
    assert lines == ["databases", "--hex --help", "tenants", "default tenants", ""]


def test_bash_completes_nothing_without_a_server(shell):
    assert shell("bash", BASH + "export ELEVATOR_URL=tcp://127.0.0.1:9; complete elevator drop d") == "\n"


def test_fish_completes_commands_and_databases(shell, db):
    db.createdb("tenants")
    text = "source (elevator completion fish | psub); complete -C 'elevator data'; complete -C 'elevator drop te'"
    lines = shell("fish", text).splitlines()
    assert [line.split("\t")[0] for line in lines] == ["databases", "tenants"]


def test_zsh_loads_its_script(shell, tmp_path):
    text = f"autoload -Uz compinit; compinit -D -d {tmp_path}/dump; source <(elevator completion zsh); print $_comps[elevator]"
    assert shell("zsh", text) == "_elevator_completion\n"


def test_what_zsh_asks_is_answered(shell, db):
    db.createdb("tenants")
    text = "COMP_WORDS='elevator drop te' COMP_CWORD=2 _ELEVATOR_COMPLETE=zsh_complete elevator"
    assert shell("bash", text).split() == ["plain", "tenants", "_"]


@pytest.mark.parametrize(
    ("words", "number", "answer"),
    [
        ("elevator count --db=te", 2, "plain --db=tenants _"),
        ("elevator dump te", 2, "plain tenants _"),
        ("elevator backup te", 2, "plain tenants _"),
        ("elevator load x --to-db te", 4, "plain tenants _"),
        ("elevator put k --file /et", 4, "file /et _"),
        ("elevator batch /et", 2, "file /et _"),
        ("elevator load /et", 2, "file /et _"),
    ],
)
def test_zsh_completes_values_databases_and_files(shell, db, words, number, answer):
    db.createdb("tenants")
    text = f"COMP_WORDS='{words}' COMP_CWORD={number} _ELEVATOR_COMPLETE=zsh_complete elevator"
    assert shell("bash", text).split() == answer.split()


def test_bash_completes_the_value_behind_an_equals_sign(shell, db):
    db.createdb("tenants")
    asked = ["elevator count --db = te", "elevator count --db ="]  # bash makes three words of --db=te
    lines = shell("bash", BASH + "\n".join(f"complete {line}" for line in asked)).splitlines()
    assert lines == ["tenants", "default tenants"]


def test_fish_completes_values_and_shows_whole_help_texts(shell, db):
    db.createdb("tenants")
    asked = ["elevator count --db=te", "elevator get --he"]
    text = "source (elevator completion fish | psub); " + "; ".join(f"complete -C '{line}'" for line in asked)
    lines = [line.split("\t") for line in shell("fish", text).splitlines()]
    assert lines[0] == ["--db=tenants"]
    assert ["--hex", "Keys and values are hex, in arguments, input and output."] in lines[1:]


def test_another_shell_is_a_mistake(run):
    assert run("completion", "tcsh")[0] == 2
