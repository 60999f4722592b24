"""The calls as commands of ``elevator``: connect, call once, show the result."""

from collections.abc import Mapping
from typing import Any, Final

import click

from pyelevator.cli.calls.output import Output
from pyelevator.cli.calls.parameters import FORMATS, take_format
from pyelevator.cli.calls.table import CALLS, Call
from pyelevator.cli.command import sectioned
from pyelevator.cli.connection import CONNECTION_NAMES, ConnectionOptions, connection_options
from pyelevator.cli.errors import ExitCode

_SECTIONS: Final = {"Format": [param.name or "" for param in FORMATS], "Connection": CONNECTION_NAMES}


def _command(name: str, call: Call) -> click.Command:
    @connection_options(database=call.takes_db)
    def invoke(connection: ConnectionOptions, **params: Any) -> ExitCode:
        output = Output.to_stdout(*take_format(params))
        with connection.open(auto_connect=call.connects) as client:
            if call.is_long and "timeout" not in connection.options:
                client.timeout = None
            return call.show(output, call.run(client, **params))

    return click.command(name, sectioned(_SECTIONS), help=call.help, params=[*call.params, *FORMATS])(invoke)


COMMANDS: Final[Mapping[str, click.Command]] = {name: _command(name, call) for name, call in CALLS.items()}
"""Name -> command, with the options of the connection."""
