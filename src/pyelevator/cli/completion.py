"""Completion in bash, zsh and fish: click's, with the values of ``--option=VALUE`` and whole help texts."""

from typing import ClassVar, Final

from click.shell_completion import BashComplete, CompletionItem, FishComplete, ShellComplete, ZshComplete


class _AssignedValues(ShellComplete):
    """Completion for a shell that replaces the whole word: of ``--db=or`` not only what is behind ``=``."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """Return the completions of a word."""
        found = super().get_completions(args, incomplete)
        option, equals, _ = incomplete.partition("=")
        if not equals or not option.startswith("--"):
            return found
        return [
            CompletionItem(f"{option}={item.value}", item.type, item.help) if item.type == "plain" else item
            for item in found
        ]


class Bash(BashComplete):
    """Completion in bash, for which ``=`` is a word of its own."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the one to complete, and that one."""
        args, incomplete = super().get_completion_args()
        if incomplete == "=":
            return args, ""
        if args[-1:] == ["="]:
            args.pop()
        return args, incomplete


class Zsh(_AssignedValues, ZshComplete):
    """Completion in zsh."""


class Fish(_AssignedValues, FishComplete):
    """Completion in fish; only the first comma of a line separates."""

    source_template: ClassVar[str] = FishComplete.source_template.replace('string split ","', 'string split -m 1 ","')


SHELLS: Final[dict[str, type[ShellComplete]]] = {"bash": Bash, "zsh": Zsh, "fish": Fish}
"""Name of a shell -> its completion."""
