"""Catalogs and applications on each engine."""

from support.catalogs import application, ask, catalog, reopened

__all__ = ["application", "ask", "catalog", "reopened"]
