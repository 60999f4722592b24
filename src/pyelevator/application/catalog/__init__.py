"""The catalog: which databases there are, under which names and uids, and where they are."""

from pyelevator.application.catalog.catalog import Catalog
from pyelevator.application.catalog.database import Database
from pyelevator.application.catalog.names import DEFAULT, LocatedName
from pyelevator.application.catalog.store import CatalogError, CatalogLocked, StoreError

__all__ = [
    "DEFAULT",
    "Catalog",
    "CatalogError",
    "CatalogLocked",
    "Database",
    "LocatedName",
    "StoreError",
]
