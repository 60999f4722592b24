"""The application: a request in, a response out; no sockets, no threads of its own."""

from pyelevator.application.application import Application, InterceptedApplication
from pyelevator.application.catalog import Catalog, CatalogError, CatalogLocked, Database, StoreError
from pyelevator.application.policy import Policy

__all__ = [
    "Application",
    "Catalog",
    "CatalogError",
    "CatalogLocked",
    "Database",
    "InterceptedApplication",
    "Policy",
    "StoreError",
]
