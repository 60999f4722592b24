"""What holds for all tests."""

import signal

from hypothesis import settings

# No example has to be quick: on a loaded machine any may take long.
settings.register_profile("unhurried", settings.default, deadline=None)
settings.load_profile("unhurried")

# A shell that runs the tests in the background has interrupts ignored, and so had every program that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
