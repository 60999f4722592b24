"""docs/security.md: its example is read, and its table is the one of the commands."""

import re
import tomllib
from pathlib import Path

from pyelevator.auth.permissions import read_permissions
from pyelevator.commands import COMMANDS, Access
from support.optional import unwrap

DOC = (Path(__file__).parents[2] / "docs" / "security.md").read_text()


def test_the_example_of_permissions_is_read(tmp_path):
    (example,) = re.findall(r"```toml\n(.*?)```", DOC, re.DOTALL)
    (tmp_path / "permissions.toml").write_text(example)
    assert read_permissions(tmp_path / "permissions.toml").keys() == tomllib.loads(example).keys()


def test_the_table_of_access_is_what_the_commands_say():
    rows = {"a known key": Access.NONE, "read": Access.READ, "write": Access.WRITE, "admin": Access.ADMIN}
    reported = {
        verb: access
        for row, access in rows.items()
        for verb in re.findall(r"\b[A-Z]{3,}\b", unwrap(re.search(rf"\| {row} \| (.*) \|", DOC))[1])
    }
    assert reported == {verb: command.access for verb, command in COMMANDS.items() if verb != "PIPELINE"}
    assert "A PIPELINE needs nothing by itself" in DOC
