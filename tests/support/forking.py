"""Forks of processes that have threads, of which Python warns: that these work nevertheless is what tests show."""

import os
import warnings

import pytest

forks_with_threads = pytest.mark.filterwarnings(r"ignore:This process .* is multi-threaded:DeprecationWarning")
"""Marks a test that forks its own process."""

FORKING = ("-W", "ignore:This process:DeprecationWarning")
"""Options of Python for a program that forks; what it warns of begins so."""


def warn_as_later_pythons_do():
    """Have ``os.fork`` warn on every Python and always, so that no unmarked test that forks is overlooked.

    Python 3.11 does not warn; 3.12 to 3.14 do after the fork, and an error that is made of it is lost there.
    """
    fork = os.fork

    def warning():
        stated = "is multi-threaded, use of fork() may lead to deadlocks in the child."
        warnings.warn(f"This process (pid={os.getpid()}) {stated}", DeprecationWarning, stacklevel=2)
        return fork()

    os.fork = warning
