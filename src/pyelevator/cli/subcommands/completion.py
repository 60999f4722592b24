"""``elevator completion``."""

from typing import Final

import click
from click.shell_completion import get_completion_class

_SHELLS: Final = ("bash", "zsh", "fish")
_VARIABLE: Final = "_ELEVATOR_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS))
def completion(shell: str) -> None:
    """Print the script with which a shell completes `elevator`.

    It completes commands, options, and the names of databases, which it asks the server for.

    \b
    bash:  elevator completion bash > ~/.local/share/bash-completion/completions/elevator
    zsh:   elevator completion zsh > ~/.zfunc/_elevator   (with ~/.zfunc in fpath, before compinit)
    fish:  elevator completion fish > ~/.config/fish/completions/elevator.fish
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"there is no completion for {shell}")
    click.echo(kind(click.get_current_context().find_root().command, {}, "elevator", _VARIABLE).source())
