"""The fake: the server application in process, for tests without a server."""

from pyelevator.transports.fake.transport import FakeTransport, add_fake, named_fake, remove_fake

__all__ = ["FakeTransport", "add_fake", "named_fake", "remove_fake"]
