"""A schema of PostgreSQL for each test."""

from support.postgresql_storages import open_storage, storage, url

__all__ = ["open_storage", "storage", "url"]
