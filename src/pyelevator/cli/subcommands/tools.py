"""``elevator completion``, ``elevator help`` and ``elevator ping``."""

import click

from pyelevator.cli.completion import SHELLS
from pyelevator.cli.connection_options import ConnectionOptions, connection_options


@click.command()
@click.argument("shell", type=click.Choice(list(SHELLS)))
def completion(shell: str) -> None:
    """Print the script with which a shell completes `elevator`.

    It completes commands, options, and the names of databases, which it asks the server for.

    \b
    bash:  elevator completion bash > ~/.local/share/bash-completion/completions/elevator
    zsh:   elevator completion zsh > ~/.zfunc/_elevator   (with ~/.zfunc in fpath, before compinit)
    fish:  elevator completion fish > ~/.config/fish/completions/elevator.fish
    """
    root = click.get_current_context().find_root().command
    click.echo(SHELLS[shell](root, {}, "elevator", "_ELEVATOR_COMPLETE").source())


@click.command("help")
@click.argument("name", metavar="[COMMAND]", required=False)
@click.pass_context
def show_help(context: click.Context, name: str | None) -> None:
    """List the commands, or explain one; --help does the same."""
    root = context.find_root()
    if name is None or not isinstance(root.command, click.Group):
        click.echo(root.get_help())
        return
    _, command, _ = root.command.resolve_command(root, [name])
    if command is not None:
        click.echo(command.get_help(click.Context(command, parent=root, info_name=name)))


@click.command()
@connection_options(url_argument=True, database=False)
def ping(connection: ConnectionOptions) -> None:
    """Check that the server responds; prints PONG.

    No database is needed, and no permission but to connect.
    """
    with connection.open(auto_connect=False) as client:
        click.echo(client.ping())
