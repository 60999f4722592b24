"""``elevator ping``."""

import click

from pyelevator.cli.connection import ConnectionOptions, connection_options


@click.command()
@connection_options(url_argument=True, database=False)
def ping(connection: ConnectionOptions) -> None:
    """Check that the server responds; prints PONG.

    No database is needed, and no permission but to connect.
    """
    with connection.open(auto_connect=False) as client:
        click.echo(client.ping())
