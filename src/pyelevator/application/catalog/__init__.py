"""The catalog: which databases there are, under which names and uids, and where they are."""

from pyelevator.application.catalog.catalog import Catalog as Catalog
from pyelevator.application.catalog.database import Database as Database
from pyelevator.application.catalog.names import DEFAULT as DEFAULT, LocatedName as LocatedName
from pyelevator.application.catalog.store import (
    CatalogError as CatalogError,
    CatalogLocked as CatalogLocked,
    StoreError as StoreError,
)
