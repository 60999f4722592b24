"""Commands of several lines: batches, and quotes that are open at the end of a line."""

from typing import Final

from pyelevator.cli.calls.words import UnclosedQuote, split_words

END: Final = "end"
"""The line that ends a batch."""


def is_complete(text: str) -> bool:
    r"""Return whether a text is a complete command.

    >>> is_complete("get a"), is_complete("get 'a"), is_complete("batch\nput a 1"), is_complete("batch\nput a 1\nend")
    (True, False, False, True)
    """
    try:
        head, _ = split_block(text)
        words = split_words(head)
        if not _begins_block(words):
            return True
        _, *rest = text.rstrip().split("\n")
        return rest != [] and rest[-1].strip() == END and split_words("\n".join(rest))[-1] == END
    except UnclosedQuote:
        return False


def split_block(text: str) -> tuple[str, list[bytes]]:
    r"""Return the command line of a text, and the lines of its batch without the one that ends it.

    >>> split_block("batch\nput a 1\nend\n"), split_block("put a 'b\nc'")
    (('batch', [b'put a 1\n']), ("put a 'b\nc'", []))
    """
    first, _, rest = text.partition("\n")
    if not _begins_block(_words_of(first)):
        return text, []
    lines = rest.rstrip().split("\n")
    if lines[-1].strip() == END:
        del lines[-1]
    return first, [f"{line}\n".encode("utf-8", "surrogateescape") for line in lines]


def _words_of(line: str) -> list[str]:
    try:
        return split_words(line)
    except UnclosedQuote:
        return []


def _begins_block(words: list[str]) -> bool:
    """Return whether these words begin a batch whose operations follow, and name no file that holds them."""
    return words[:1] == ["batch"] and all(word.startswith("-") for word in words[1:]) and "--help" not in words
