"""The commands that call a server: one table for the command line and for the shell."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import click
from attrs import frozen

from pyelevator.cli.calls import actions
from pyelevator.cli.calls.batches import read_batch
from pyelevator.cli.calls.output import Output, show_found, show_names, show_nothing, show_truth
from pyelevator.cli.calls.parameters import COUNT, FORMATS, KEY, VALUE, argument, flag, option, shared, take_format
from pyelevator.cli.command import SectionedCommand
from pyelevator.cli.connection_options import CONNECTION_NAMES, ConnectionOptions, connection_options
from pyelevator.cli.errors import ExitCode
from pyelevator.client import Elevator


@frozen
class Call:
    """A command that calls a server.

    Attributes:
        run: what it does, with a client and the parameters by name.
        params: its own, without those of the format and the connection.
        show: shows the result, and returns the exit code.
        help: begins with a sentence.
        takes_db: there is an option ``--db``.
        connects: it connects to that database first.
        is_long: it may take longer than the client's timeout, and has none unless one is given.
    """

    run: Callable[..., object]
    params: Sequence[click.Parameter]
    show: Callable[[Output, Any], ExitCode]
    help: str
    takes_db: bool = True
    connects: bool = True
    is_long: bool = False

    def command(self, name: str, callback: Callable[..., object]) -> click.Command:
        """Return the command of this name."""
        return click.command(name, _CallCommand, help=self.help, params=[*self.params, *FORMATS])(callback)


class _CallCommand(SectionedCommand):
    sections = {"Format": [param.name or "" for param in FORMATS], "Connection": CONNECTION_NAMES}


_BATCH_HELP: Final = """Write a batch: all of it, or nothing.

It is read from FILE or stdin, with one operation per line:

\b
  put KEY VALUE
  delete KEY
  check KEY VALUE    the batch is written only if KEY has this value,
  missing KEY        only if there is no KEY,
  present KEY        only if there is one

If a check does not hold, the exit code is 1. Put words with spaces in quotes; within double quotes, \\n, \\t and
\\xff are escapes, as in most languages. A line that begins with # is a comment.

With --json each line is an object: {"op": "put", "key": "a", "value": "1"}. Without "op" it is a put, so the
output of `elevator range --json` can be written to another database. Bytes that are not text are base64, in
"value_base64"."""

_SERVER: Final = {"takes_db": False, "connects": False}

CALLS: Final[Mapping[str, Call]] = {
    "get": Call(
        actions.get_value,
        [*shared("KEY --raw"), option("--default", VALUE, "VALUE", "Print VALUE if the key is missing.")],
        Output.value,
        "Print the value of KEY.\n\nThe exit code is 1 if there is no such key.",
    ),
    "put": Call(
        partial(actions.put_with, Elevator.Put),
        shared("KEY [VALUE] --file --sync"),
        show_nothing,
        "Set the value of KEY.\n\nThe VALUE - stands for all of stdin, newlines included.",
    ),
    "put-if-absent": Call(
        partial(actions.put_with, Elevator.PutIfAbsent),
        shared("KEY [VALUE] --file --sync"),
        show_truth,
        "Set the value of KEY if it has none.\n\nPrints true if it was set; else prints false, and the exit code is 1.",
    ),
    "compare-and-set": Call(
        Elevator.CompareAndSet,
        [*shared("KEY"), argument("EXPECTED", VALUE), *shared("VALUE --sync")],
        show_truth,
        "Set the value of KEY if it is EXPECTED.\n\nPrints true if it was set; else prints false, and the exit code is "
        "1. Of several clients that expect the same value, one succeeds.",
    ),
    "incr": Call(
        Elevator.Increment,
        [
            *shared("KEY"),
            argument("[BY]", click.INT, default=1),
            option("--initial", click.INT, "N", "Number that a missing key counts as. Default: 0.", default=0),
            *shared("--sync"),
        ],
        Output.result,
        "Add BY to the number of KEY, and print the sum.\n\nBY defaults to 1, and may be negative. No client's "
        "addition is lost.",
    ),
    "delete": Call(
        actions.delete_keys,
        shared("KEY... --sync"),
        show_nothing,
        "Remove keys; missing ones are no error.\n\nThe KEY - stands for all keys on stdin, one per line. "
        "They are removed together, or 10,000 at a time.",
    ),
    "get-and-delete": Call(
        Elevator.GetAndDelete,
        shared("KEY --raw --sync"),
        Output.value,
        "Remove KEY, and print the value that it had.\n\nOf several clients, one gets it. The exit code is 1 if there "
        "is no such key.",
    ),
    "exists": Call(
        Elevator.Exists,
        shared("KEY"),
        show_truth,
        "Print whether KEY is there: true or false.\n\nThe exit code is 1 if it is not.",
    ),
    "mget": Call(
        actions.read_many,
        shared("KEY..."),
        show_found,
        "Print the values of several keys.\n\nEach line has a key, a tab and the value. The KEY - stands for all keys "
        "on stdin, one per line. The exit code is 1 if a key is missing; in JSON its value is null.",
    ),
    "range": Call(
        actions.read_range,
        [
            *shared("[START] [STOP] --limit --prefix --reverse --keys --values"),
            flag("--consistent", "Read all rows from one snapshot."),
        ],
        Output.rows,
        "Print keys and values from START to STOP.\n\nBoth keys are included; '' stands for the beginning or the end. "
        "Rows are fetched page by page, so a range may have any length. Each line has a key, a tab and the value.",
    ),
    "slice": Call(
        actions.read_slice,
        [
            argument("START", KEY),
            argument("COUNT", COUNT),
            *shared("--prefix --reverse --keys --values"),
        ],
        Output.rows,
        "Print COUNT keys and values from START on.\n\nWith --reverse, from START down. '' stands for the beginning, "
        "or with --reverse for the end. Each line has a key, a tab and the value.",
    ),
    "count": Call(
        Elevator.Count,
        shared("[START] [STOP] --prefix"),
        Output.result,
        "Print the number of keys from START to STOP.\n\nBoth keys are included; '' stands for the beginning or the "
        "end. The server counts about a million keys in a second; only --timeout limits its time.",
        is_long=True,
    ),
    "delete-range": Call(
        actions.delete_range,
        [
            *shared("[START] [STOP] --prefix"),
            flag("--all every", "Delete all keys of the database."),
            *shared("--sync"),
        ],
        Output.result,
        "Delete the keys from START to STOP, and print how many.\n\nBoth keys are included; '' stands for the beginning"
        " or the end. Keys are deleted in chunks; after an error, run the same command again to continue.",
    ),
    "batch": Call(read_batch, shared("[FILE] --sync"), show_nothing, _BATCH_HELP),
    "databases": Call(Elevator.listdb, [], show_names, "List the databases, `default` first.", **_SERVER),
    "create": Call(
        actions.create_database,
        [
            *shared("NAME"),
            click.Option(
                ["--option", "options"],
                multiple=True,
                callback=actions.read_option,
                metavar="NAME=VALUE",
                help="LevelDB option that is stored with the database, such as block_size=4096; may be repeated.",
            ),
        ],
        show_nothing,
        "Create the database NAME.\n\nAn absolute path adopts the LevelDB that is there on the server.",
        **_SERVER,
    ),
    "drop": Call(
        actions.drop_database,
        [
            *shared("NAME"),
            flag("--force", "Remove it even if its files existed before `create`."),
            flag("--yes", "Do not ask for confirmation; without a terminal, it never asks."),
        ],
        show_nothing,
        "Remove the database NAME and its files.\n\n`default` is emptied, and stays.",
        **_SERVER,
    ),
    "forget": Call(
        Elevator.forgetdb,
        shared("NAME"),
        show_nothing,
        "Remove the database NAME from the list, and leave its files.\n\n`elevator create` adopts it again.",
        **_SERVER,
    ),
    "mount": Call(
        Elevator.mount, shared("NAME"), show_nothing, "Open the database NAME on the server.", **_SERVER, is_long=True
    ),
    "unmount": Call(
        Elevator.unmount,
        shared("NAME"),
        show_nothing,
        "Close the database NAME on the server.\n\nIts memory is given back. The next use opens it again.",
        **_SERVER,
    ),
    "sizes": Call(
        actions.read_sizes,
        [argument("[PREFIX...]", KEY, "prefixes", nargs=-1)],
        Output.rows,
        "Print approximately how many bytes keys take on the disk.\n\nFor each PREFIX, or for the complete database. "
        "The latest writes are not counted yet. Each line has the prefix, a tab and the bytes.",
    ),
    "compact": Call(
        actions.compact_database,
        shared("[START] [STOP] --progress"),
        show_nothing,
        "Reclaim the space of deleted and overwritten pairs.\n\nOf the whole database, or only of its keys from START "
        "to STOP; '' stands for the beginning or the end.",
        is_long=True,
    ),
    "repair": Call(
        actions.repair_database,
        [*shared("[NAME]"), flag("--force", "Continue even if most of the data cannot be read.")],
        Output.result,
        "Repair a database: recover what can be read.\n\nNAME defaults to --db. The database is closed during the "
        "repair. What cannot be read is set aside. Prints which files were kept, set aside and lost.",
        connects=False,
        is_long=True,
    ),
}
"""Name of the command -> what it takes, calls and shows."""


def _make_command(name: str, call: Call) -> click.Command:
    @connection_options(database=call.takes_db)
    def invoke(connection: ConnectionOptions, **params: object) -> ExitCode:
        output = Output.to_stdout(*take_format(params))
        with connection.open(auto_connect=call.connects, is_long=call.is_long) as client:
            return call.show(output, call.run(client, **params))

    return call.command(name, invoke)


COMMANDS: Final[Mapping[str, click.Command]] = {name: _make_command(name, call) for name, call in CALLS.items()}
"""Name -> command, with the options of the connection."""
