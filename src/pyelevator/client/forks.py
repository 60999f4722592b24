"""Forks: whether this is still the process in which something was made, known without asking the system each time."""

import os
from typing import Final


class Forks:
    """Counts the forks on the way to this process.

    What notes the count when it is made belongs to the processes that have the same one. To ask the system for the
    number of the process instead takes longer than anything else that a call does before it sends.

    Attributes:
        count: of forks since the program began; the same for as long as a process lives.
    """

    def __init__(self) -> None:
        self.count = 0
        os.register_at_fork(after_in_child=self._note)

    def _note(self) -> None:
        self.count += 1


FORKS: Final = Forks()
