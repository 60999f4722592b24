"""Clients of the databases that are dumped and loaded."""

from support.dumped import source, target

__all__ = ["source", "target"]
