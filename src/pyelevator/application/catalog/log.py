"""The logger of the catalog."""

import logging
from typing import Final

log: Final = logging.getLogger("pyelevator.catalog")
