"""``elevator console``."""

import click

from pyelevator.cli.connection_options import ConnectionOptions, connection_options
from pyelevator.console import open_console


@click.command()
@connection_options(url_argument=True, database=False)
@click.option(
    "--listen",
    metavar="HOST:PORT",
    envvar="ELEVATOR_CONSOLE_LISTEN",
    show_envvar=True,
    default="127.0.0.1:8141",
    show_default=True,
    help="Address for browsers; port 0 lets the system choose.",
)
@click.option(
    "--write", is_flag=True, help="Allow changes: edit, add and delete keys. Without it the console only reads."
)
@click.option(
    "--allow-host",
    "allowed_hosts",
    metavar="NAME",
    multiple=True,
    help="Host name under which browsers may reach it, in addition to its address and `localhost`; may be repeated.",
)
def console(connection: ConnectionOptions, listen: str, write: bool, allowed_hosts: tuple[str, ...]) -> None:
    """Show a server in a web browser: databases, keys, values, charts.

    Prints a link; open it. It holds a token, and the console answers no request without it. SIGINT (Ctrl-C) or SIGTERM
    ends it.
    """
    with connection.open(auto_connect=False) as client:
        client.ping()
    found = open_console(connection.url, connection.options, listen=listen, write=write, allowed_hosts=allowed_hosts)
    if found.is_exposed:
        click.echo(
            "elevator: other machines can reach this console, and its token travels unencrypted; put a proxy with TLS "
            "before it, or listen on 127.0.0.1 and use `ssh -L`",
            err=True,
        )
    click.echo(f"open {found.url}")
    found.serve_forever()
