"""``elevator keygen``."""

from pathlib import Path

import click

from pyelevator.auth.keys import SERVER, generate_keys
from pyelevator.cli.processes.options import PATH


@click.command()
@click.argument("directory", metavar="DIR", type=PATH)
@click.option(
    "--name", default=SERVER, show_default=True, metavar="NAME", help="Owner of the keys: `server`, or a client's name."
)
@click.option("--force", is_flag=True, help="Replace existing keys.")
def keygen(directory: Path, name: str, force: bool) -> None:
    """Generate a key pair in DIR; prints the public key.

    The files are DIR/NAME.key and DIR/NAME.key_secret. Only the owner can read the one with the secret key. A client
    may connect when its .key file is in the directory `clients` beside the server's keys.
    """
    click.echo(generate_keys(directory, name, force=force))
