"""The options with which commands connect to a server, and the client that they make."""

import os
from collections.abc import Callable, Mapping
from functools import update_wrapper
from pathlib import Path
from typing import Any, Final, TypeAlias

import click
from attrs import evolve, field, frozen
from click.shell_completion import CompletionItem

from pyelevator.cli.command import ParamType
from pyelevator.cli.lookup import list_databases
from pyelevator.client import Elevator
from pyelevator.client.options import URL_VARIABLE
from pyelevator.errors import ElevatorError
from pyelevator.transports import Curve

DEFAULT_URL: Final = "tcp://127.0.0.1:4141"

_Callback: TypeAlias = Callable[..., object]
_KEY_FILE: Final = click.Path(dir_okay=False, path_type=Path)
_POSITIVE: Final = click.FloatRange(min=0, min_open=True)

_GIVEN: Final = ("db", "dialect", "timeout", "connect_timeout", "curve_key", "server_key")
CONNECTION_NAMES: Final = ("url", *_GIVEN)
"""The parameters of a connection, for the help of a command."""


INHERITED: Final = "pyelevator.connection"
"""Key of a context's ``meta``: how to connect where the command line does not say where; the shell's connection."""


@frozen
class ConnectionOptions:
    """The server that a command connects to, and the other arguments of :meth:`Elevator.from_url`."""

    url: str
    options: Mapping[str, Any] = field(factory=dict)

    def open(self, *, auto_connect: bool = True, is_long: bool = False) -> Elevator[bytes]:
        """Return a client. Commands about the server and its databases do not ``auto_connect`` to one of them.

        A call that ``is_long`` has no timeout, unless one is given.
        """
        given = self.options if auto_connect else {**self.options, "auto_connect": False}
        client = Elevator[bytes].from_url(self.url, encoding=None, **given)
        if is_long and "timeout" not in self.options:
            client.timeout = None
        return client


def connection_options(*, url_argument: bool = False, database: bool = True) -> Callable[[_Callback], _Callback]:
    """Make a decorator that gives a command a :class:`ConnectionOptions`, as its argument ``connection``.

    Args:
        url_argument: the URL can be an argument as well: ``elevator stats tcp://db.example``.
        database: there is an option ``--db``.
    """
    given = [*_COMMON, *([_DB] if database else []), *([_URL_ARGUMENT] if url_argument else [])]

    def decorate(callback: _Callback) -> _Callback:
        def call(**params: object) -> Any:
            return callback(connection=_connection(params), **params)

        command = update_wrapper(call, callback)
        for option in given:
            command = option(command)
        return command

    return decorate


json_option: Final = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON: one document, or one in each line."
)


class DatabaseType(ParamType):
    """The name of a database; shells complete it."""

    name = "database"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """Return the names of the server's databases; none if it does not say them at once."""
        try:
            with ctx.scope(cleanup=False), _connection(dict(ctx.params)).open(auto_connect=False) as client:
                names = map(os.fsdecode, list_databases(client, incomplete))
                return [CompletionItem(name) for name in names if name.isprintable()]
        except (ElevatorError, click.ClickException):
            return []


_URL_ARGUMENT: Final = click.argument("url_argument", metavar="[URL]", required=False)
_DB: Final = click.option(
    "--db", type=DatabaseType(), metavar="NAME", help="Database. Default: the URL's, or `default`."
)
_COMMON: Final = (
    click.option(
        "--server-key", type=_KEY_FILE, metavar="FILE", help="File with the server's public key; with --curve-key FILE."
    ),
    click.option(
        "--curve-key",
        type=_KEY_FILE,
        metavar="FILE",
        help="File with this client's keys, for a server that asks for keys.",
    ),
    click.option("--dialect", metavar="NAME", help="Dialect of the server: `classic`, or `flat` for the 0.7 line."),
    click.option(
        "--connect-timeout",
        type=_POSITIVE,
        metavar="SECONDS",
        help="Time for which a refused connection is retried. Default: 1.",
    ),
    click.option("--timeout", type=_POSITIVE, metavar="SECONDS", help="Time to wait for each answer. Default: 5."),
    click.option(
        "--url",
        metavar="URL",
        envvar=URL_VARIABLE,
        show_envvar=True,
        help=f"URL of the server. Default: {DEFAULT_URL}.",
    ),
)


def _connection(params: dict[str, Any]) -> ConnectionOptions:
    """Take the connection's parameters out of those of a command."""
    argument, url = params.pop("url_argument", None), params.pop("url", None)
    given = {name: value for name in _GIVEN if (value := params.pop(name, None)) is not None}
    if argument is not None and url is not None and _is_typed("url"):
        raise click.UsageError("the URL is given twice, as an argument and with --url")
    if "db" in given:
        given["db_name"] = given.pop("db")
    inherited: ConnectionOptions | None = click.get_current_context().meta.get(INHERITED)
    if inherited is not None and argument is None and not _is_typed("url"):
        return evolve(inherited, options={**inherited.options, **_with_keys(given)})
    return ConnectionOptions(argument or url or DEFAULT_URL, _with_keys(given))


def _is_typed(name: str) -> bool:
    """Return whether a parameter stands on the command line, and not in the environment."""
    source = click.get_current_context().get_parameter_source(name)
    return source is click.core.ParameterSource.COMMANDLINE


def _with_keys(given: dict[str, Any]) -> dict[str, Any]:
    """Put the keys in place of the files that hold them."""
    files: list[Path] = [given.pop(name) for name in ("curve_key", "server_key") if name in given]
    if len(files) == 1:
        raise click.UsageError("--curve-key and --server-key go together: the client's keys, and whose server it is")
    return {**given, "curve": Curve.from_files(*files)} if files else given
