"""The conformance suite for engines.

Subclass it, give it a storage, and pytest runs it::

    class TestMyEngine(EngineConformance):
        @pytest.fixture
        def storage(self):
            return MyStorage()

        def damage(self, path):  # for a storage that is DURABLE
            ...

The suite checks capabilities, never an engine's name.
"""

from pyelevator.testing.engines.access import AccessConformance
from pyelevator.testing.engines.fixtures import LETTERS, PAIRS
from pyelevator.testing.engines.scans import ScanConformance
from pyelevator.testing.engines.storage import DamageConformance, StorageConformance


class EngineConformance(AccessConformance, ScanConformance, DamageConformance, StorageConformance):
    """Tests of what every engine does.

    Override the fixtures ``storage``, and ``path`` if paths are not paths of this machine.
    """


__all__ = [
    "LETTERS",
    "PAIRS",
]
