"""Interceptors with connections of their own: to a second server, or to one of several."""

from pyelevator.client.interceptors.mirror import Mirror
from pyelevator.client.interceptors.route import Route

__all__ = [
    "Mirror",
    "Route",
]
