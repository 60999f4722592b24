"""What holds for all tests."""

from hypothesis import settings

# No example has to be quick: on a loaded machine any may take long.
settings.register_profile("unhurried", settings.default, deadline=None)
settings.load_profile("unhurried")
