"""The handle of the database that a client is connected to: what the server said of it, and what may be sent."""

from functools import lru_cache
from typing import TYPE_CHECKING

from attrs import Factory, define, fields

from pyelevator import commands
from pyelevator.codec import Codec, UnsupportedByDialect
from pyelevator.commands import Access, Command
from pyelevator.commands.features import REQUIRED_FEATURES
from pyelevator.errors import ErrorCode, UsageError
from pyelevator.flows import Flow, send
from pyelevator.messages import Request, Response, snapshot_uid

if TYPE_CHECKING:
    from pyelevator.compat import FlatServer


def is_server_wide(command: Command) -> bool:
    """Return whether a command needs no connected database, as it is about all of them."""
    return isinstance(command, (commands.DbCreate, commands.DbDrop, commands.DbList))


def _unknown_flat_server() -> "FlatServer":
    from pyelevator.compat import FlatServer  # nothing is adapted before there is a client

    return FlatServer()


@define(eq=False, repr=False)
class DatabaseHandle:
    """The database that a client is connected to.

    Attributes:
        codec: of the client's dialect.
        name, uid: of the database; None before the first connect.
        features: what the server can do beyond the old protocol.
        is_old: whether the server is one of the old ones; None before the first reply.
        flat_server: what is known of a server of the flat dialect.
        is_intercepted: each request passes through interceptors.
        direct: the commands that are sent as they are, and whose response is the result or an error; chosen when the
            server introduces itself. All others are flows.
    """

    codec: Codec
    name: str | None = None
    uid: str | None = None
    features: tuple[str, ...] = ()
    is_old: bool | None = None
    flat_server: "FlatServer" = Factory(_unknown_flat_server)
    is_intercepted: bool = False
    direct: frozenset[type[Command]] = frozenset()

    def set(self, name: str | None, uid: str | None, features: tuple[str, ...]) -> None:
        """Take over what a server answered to DBCONNECT."""
        self.name, self.uid, self.features = name, uid, features
        self.is_old = not features
        is_modern = uid is not None and commands.Pipeline.feature in features and self.codec.tells_missing
        self.direct = _known_commands(features) if is_modern and not self.is_intercepted else frozenset()

    def clear(self) -> None:
        """Be connected to no database, and forget the server."""
        self.direct = frozenset()
        self.name, self.uid, self.is_old = None, None, None

    def forward(self, request: Request) -> Flow[Response]:
        """Send a request as the server takes it (see :mod:`pyelevator.compat`)."""
        from pyelevator.compat import adapt  # as above

        return adapt(self.codec, self._send, lambda: self.is_old, self.flat_server)(request)

    @property
    def needs_adapter(self) -> bool:
        """True if the server may not take every request as it is."""
        return self.is_old is not False or not self.codec.tells_missing

    def _send(self, request: Request) -> Flow[Response]:
        response = yield from send(request)
        if self.is_old is None:
            self.is_old = response.id is None  # our server echoes the id of every request
        return response

    def uid_for(self, command: Command) -> str | None:
        """Return the uid to send with the command; refuse a command that the server does not know."""
        if command.feature and command.feature not in self.features:
            if command.needs_uid:
                self.check_connected()
            raise UnsupportedByDialect(f"this server does not know {command.verb}; nothing was sent")
        if command.meta_fields:
            self._check_features(command)
        if not command.needs_uid:
            return None
        if not is_server_wide(command):
            self.check_connected()
        return self.uid

    def _check_features(self, command: Command) -> None:
        for extra in command.meta_fields:
            if extra == "reverse" and isinstance(command, commands.Range):
                continue  # an old server is asked forwards
            feature, refusal = REQUIRED_FEATURES.get(extra, ("", ""))
            if feature and getattr(command, extra) and feature not in self.features:
                raise UnsupportedByDialect(f"this server {refusal}; nothing was sent")

    def check_connected(self) -> None:
        """Refuse to go on without a database."""
        if self.uid is None:
            raise UsageError("not connected to a database; call connect() first")

    def check_may_connect(self) -> None:
        """Refuse to become the handle of another database, if it is that of one for good."""

    def is_lost_by(self, response: Response, uid: str | None) -> bool:
        """Return whether the server no longer knows the uid; nothing was executed then."""
        lost = response.code is ErrorCode.RUNTIME and response.message == f"Database {uid} doesn't exist"
        return lost and self.name is not None


@define(eq=False, repr=False)
class SnapshotHandle(DatabaseHandle):
    """A database at the moment of a snapshot; its uid is None before the snapshot is taken and after it is closed.

    Attributes:
        database_uid: of the database itself.
        cursor: under which the server keeps the snapshot; None if it need not be given back.
    """

    database_uid: str | None = None
    cursor: bytes | None = None

    @classmethod
    def at_moment(cls, handle: DatabaseHandle, cursor: bytes) -> "SnapshotHandle":
        """Make the handle of a database at the moment of a snapshot."""
        snapshot = cls(**{each.name: getattr(handle, each.name) for each in fields(DatabaseHandle)})
        snapshot.database_uid, snapshot.cursor, snapshot.uid = handle.uid, cursor, snapshot_uid(str(handle.uid), cursor)
        snapshot.direct = frozenset(kind for kind in handle.direct if not kind.writes and kind.access <= Access.READ)
        return snapshot

    def uid_for(self, command: Command) -> str | None:
        if command.writes or command.access > Access.READ:
            raise UsageError(f"a snapshot is only read, and {command.verb} is for its client; nothing was sent")
        return DatabaseHandle.uid_for(self, command)

    def check_connected(self) -> None:
        if self.uid is None:
            raise UsageError("the snapshot is closed, or not taken yet; use it within its with block")

    def check_may_connect(self) -> None:
        raise UsageError("a snapshot stays with its databases; database(name) is another one of them")

    def is_lost_by(self, response: Response, uid: str | None) -> bool:  # noqa: ARG002
        """Return False: the same database is there again, and the moment is not."""
        return False


@lru_cache(maxsize=16)  # a server may say something else each time
def _known_commands(features: tuple[str, ...]) -> frozenset[type[Command]]:
    """Return the commands to a database that a server with these features executes, whatever their arguments are."""
    known = {"", *features}
    return frozenset(
        kind
        for kind in commands.COMMANDS.values()
        if kind.needs_uid
        and kind.feature in known
        and all(REQUIRED_FEATURES.get(extra, ("", ""))[0] in known for extra in kind.meta_fields)
    )
