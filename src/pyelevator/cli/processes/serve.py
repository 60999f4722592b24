"""``elevator serve``."""

from typing import Any

import click

from pyelevator.cli.errors import as_usage_error, start_failures
from pyelevator.cli.logs import logging_to
from pyelevator.cli.processes.options import load_settings, settings_options
from pyelevator.cli.processes.server import run_server, validate
from pyelevator.config import ServerSettings, read_server_config


@click.command()
@settings_options(ServerSettings, "ELEVATOR_")
def serve(**given: Any) -> int:
    """Run a server until SIGTERM, SIGINT or SIGQUIT.

    SIGHUP reopens the log file and reads keys and permissions again.

    Each option can also be set by an environment variable or in the configuration file. The command line overrides the
    environment, and the environment overrides the file.
    """
    settings = load_settings(ServerSettings, read_server_config, given)
    as_usage_error(lambda: validate(settings))
    with logging_to(settings.log_file, settings.log_level, settings.log_format) as reopen, start_failures():
        return run_server(settings, click.echo, reopen)
