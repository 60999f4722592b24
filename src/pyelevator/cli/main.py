"""The ``elevator`` command and its small subcommands."""

from pathlib import Path

import click

from pyelevator.auth.keys import SERVER, generate_keys
from pyelevator.cli.bench import bench
from pyelevator.cli.errors import OneLineErrorGroup, as_usage_error
from pyelevator.cli.options import PATH
from pyelevator.cli.proxy import proxy
from pyelevator.cli.serve import serve
from pyelevator.client import Elevator
from pyelevator.config.server_settings import DEFAULT_BIND


@click.group(
    cls=OneLineErrorGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="pyelevator", prog_name="elevator")
@click.pass_context
def elevator(context: click.Context) -> None:
    """Elevator: many LevelDB databases, served over ZeroMQ."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@elevator.command()
@click.argument("url", envvar="ELEVATOR_URL", default=DEFAULT_BIND)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Time to wait for the response. Default: 5.",
)
def ping(url: str, timeout: float | None) -> None:
    """Check that the server at URL responds; prints PONG.

    URL defaults to the environment variable ELEVATOR_URL, or tcp://127.0.0.1:4141. No database is needed, and no
    permission but to connect.
    """
    with as_usage_error(lambda: Elevator.from_url(url, auto_connect=False)) as client:
        click.echo(client.ping(timeout=timeout))


@elevator.command()
@click.argument("directory", metavar="DIR", type=PATH)
@click.option(
    "--name", default=SERVER, show_default=True, metavar="NAME", help="Owner of the keys: `server`, or a client's name."
)
@click.option("--force", is_flag=True, help="Replace existing keys.")
def keygen(directory: Path, name: str, force: bool) -> None:
    """Generate a key pair: DIR/NAME.key and DIR/NAME.key_secret; prints the public key.

    Only the owner of the files can read the secret key. A client may connect when its .key file is in the directory
    `clients` beside the server's keys.
    """
    click.echo(as_usage_error(lambda: generate_keys(directory, name, force=force)))


elevator.add_command(serve)
elevator.add_command(proxy)
elevator.add_command(bench)
