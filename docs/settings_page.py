"""The page with the settings of both programs, made from their schema.

``python docs/settings_page.py`` writes ``docs/reference/configuration.md``.
"""

from pathlib import Path

from pyelevator.config import ProxySettings, ServerSettings
from pyelevator.config.schema import settings_of

PAGE = Path(__file__).parent / "reference" / "configuration.md"

INTRODUCTION = """# Configuration

<!-- Written by `python docs/settings_page.py` from pyelevator.config; edit the settings there. -->

Each setting of `elevator serve` and `elevator proxy` is an option, an environment variable and a key of the
configuration file (`--config FILE`). The command line overrides the environment, and the environment overrides the
file. A mistake is reported with its source, key and value. An empty variable counts as not set. In a variable, several
URLs are separated by spaces and several paths by colons; a table is one of TOML in one line.

`-v`, `-vv` and `--quiet` are short for the log levels INFO, DEBUG and ERROR. A server also reads the `elevator.conf` of
the old servers ([how to move](../howto/porting.md)).
"""

SERVER_EXAMPLE = """data = "/var/lib/elevator"
workers = 8

[options]
block_size = 4096
"""

PROXY_EXAMPLE = """listen = ["tcp://127.0.0.1:4140"]

[[upstream]]
name = "west"
url = "tcp://west.example:4141"
databases = ["west-*"]
"""

SECTIONS = [
    ("elevator serve", ServerSettings, "ELEVATOR_", SERVER_EXAMPLE),
    ("elevator proxy", ProxySettings, "ELEVATOR_PROXY_", PROXY_EXAMPLE),
]


def table(settings_class: type, prefix: str) -> str:
    """Return the table of a program's settings."""
    rows = ["| key | option | variable | default | meaning |", "|---|---|---|---|---|"]
    for one in settings_of(settings_class):
        value = f" {one.metavar}" if one.metavar else ""
        option = f"`{one.option}{value}`".replace("|", "\\|") if one.is_option else ""
        variable = f"`{one.environment(prefix)}`"
        default = f"`{one.default_text}`" if one.default_text else ""
        rows.append(f"| `{one.key}` | {option} | {variable} | {default} | {one.help} |")
    return "\n".join(rows)


def page() -> str:
    """Return the text of the page."""
    parts = [INTRODUCTION]
    for title, settings_class, prefix, example in SECTIONS:
        parts.append(f"\n## {title}\n\n```toml\n{example}```\n\n{table(settings_class, prefix)}\n")
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
