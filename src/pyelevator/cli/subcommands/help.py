"""``elevator help``."""

import click


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
