"""Client authentication: what a server or a proxy needs to ask its clients for keys."""

from pathlib import Path
from typing import Self

from attrs import frozen

from pyelevator.application import Application
from pyelevator.auth.authorizing_application import AuthorizingApplication
from pyelevator.auth.authorizing_interceptor import AuthorizingInterceptor
from pyelevator.auth.keys import ClientKeys, server_secret
from pyelevator.transports.authentication import CurveServer


@frozen
class ClientAuth:
    """The authentication and authorization of a server's clients.

    Attributes:
        curve: the server's secret key and the check of client keys, for the listener.
        clients: the known clients and their permissions.
    """

    curve: CurveServer
    clients: ClientKeys

    @classmethod
    def from_directory(cls, directory: Path) -> Self:
        """Load a directory of keys (see :mod:`pyelevator.auth.keys`).

        Args:
            directory: made by ``elevator keygen``.

        Returns:
            The authentication, which follows changes of the directory.

        Raises:
            UsageError: a file is missing, cannot be parsed, or is a secret that other users can read.
        """
        secret, clients = server_secret(directory), ClientKeys(directory)
        return cls(CurveServer(secret, clients.is_known), clients)

    def interceptor(self) -> AuthorizingInterceptor:
        """Return the interceptor that authorizes requests in a proxy."""
        return AuthorizingInterceptor(self.clients.permissions)

    def wrap(self, application: Application) -> AuthorizingApplication:
        """Return the application with authorization around it, for a server."""
        return AuthorizingApplication(application, self.clients.permissions)
