"""Raw clients, and an application whose slow requests end when the test says so."""

from support.raw_clients import gated, pong, raw

__all__ = ["gated", "pong", "raw"]
