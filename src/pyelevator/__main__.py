"""``elevator`` and ``python -m pyelevator``: the same command."""

import signal
import sys


def main() -> None:
    """Run the command line; without click, print what to install."""
    if sys.argv[1:2] in (["serve"], ["proxy"]):
        # They must not end the process until the server or the proxy handles them; the imports take time.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2))
    try:
        from pyelevator.cli.main import elevator
    except ImportError as error:
        if error.name != "click":
            raise
        print("the command line needs click; install it with: pip install 'pyelevator[cli]'", file=sys.stderr)
        sys.exit(1)
    elevator(prog_name="elevator")


if __name__ == "__main__":
    main()
