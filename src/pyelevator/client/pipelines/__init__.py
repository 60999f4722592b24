"""Pipelines of the sync and the async client: the commands before, and their results afterwards."""
