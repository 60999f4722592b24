"""``elevator`` and ``python -m pyelevator``: the same command."""

import sys


def main() -> None:
    """Runs the command line; without click, says what to install."""
    try:
        from pyelevator.cli.commands import elevator
    except ImportError as error:
        if error.name != "click":
            raise
        print("the command line needs click; install it with: pip install 'pyelevator[cli]'", file=sys.stderr)
        sys.exit(1)
    elevator(prog_name="elevator")


if __name__ == "__main__":
    main()
