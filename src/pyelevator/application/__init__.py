"""The application: a request in, a response out; no sockets, no threads of its own."""

from pyelevator.application.application import Application
from pyelevator.application.catalog import Catalog
from pyelevator.application.intercepted import Intercepted
from pyelevator.application.policy import Policy
from pyelevator.application.store import CatalogError, CatalogLocked, StoreError

__all__ = ["Application", "Catalog", "CatalogError", "CatalogLocked", "Intercepted", "Policy", "StoreError"]
