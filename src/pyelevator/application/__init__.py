"""The application: a request in, a response out; no sockets, no threads of its own."""

from pyelevator.application.application import (
    Application as Application,
    InterceptedApplication as InterceptedApplication,
)
from pyelevator.application.catalog import (
    Catalog as Catalog,
    CatalogError as CatalogError,
    CatalogLocked as CatalogLocked,
    Database as Database,
    StoreError as StoreError,
)
from pyelevator.application.policy import Policy as Policy
