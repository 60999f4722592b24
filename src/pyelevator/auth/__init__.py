"""Authentication and authorization: which clients may connect, and what each of them may do.

A server authorizes with an application around its own (:class:`AuthorizingApplication`), a proxy with an interceptor
(:class:`AuthorizingInterceptor`). Both ask one :class:`Authorizer`.
"""

from pyelevator.auth.authorizer import Authorizer
from pyelevator.auth.authorizing_application import AuthorizingApplication
from pyelevator.auth.authorizing_interceptor import AuthorizingInterceptor
from pyelevator.auth.client_auth import ClientAuth
from pyelevator.auth.keys import ClientKeys, generate_keys
from pyelevator.auth.permissions import Grant, Permissions, read_permissions

__all__ = [
    "Authorizer",
    "AuthorizingApplication",
    "AuthorizingInterceptor",
    "ClientAuth",
    "ClientKeys",
    "Grant",
    "Permissions",
    "generate_keys",
    "read_permissions",
]
