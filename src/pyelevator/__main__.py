"""``elevator`` and ``python -m pyelevator``: the same command."""

import signal
import sys


def _keep_signals() -> None:
    """Ignore signals that mean nothing yet until the server or the proxy handles them."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2))


def main() -> None:
    """Run the command line; without click, say what to install."""
    if sys.argv[1:2] in (["serve"], ["proxy"]):
        _keep_signals()  # before all that takes time: imports do
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
