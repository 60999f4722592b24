"""The server's directory of keys: its own secret, and the clients that it lets in, re-read when they change.

::

    keys/server.key_secret     the server's pair; nobody else may read it (elevator keygen keys)
    keys/server.key            its public key, for the clients
    keys/clients/alice.key     the public key of one client (elevator keygen ... --name alice)
    keys/permissions.toml      what the clients may do, see :mod:`pyelevator.server.permissions`; without it everything
"""

import errno
import logging
import os
import re
import shlex
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import thread_time
from typing import Final

from pyelevator.errors import UsageError
from pyelevator.server.permissions import EVERY, Rights, read_permissions, rights_by_key
from pyelevator.transports.authentication import LOCAL
from pyelevator.transports.curve import PRIVATE, PUBLIC, Pair, read_public_key

_LOG: Final = logging.getLogger("pyelevator.server")

SERVER: Final = "server"
CLIENTS: Final = "clients"
PERMISSIONS: Final = "permissions.toml"

STALE: Final = 1.0
"""Seconds after which the files are looked at again."""

_CHEAP: Final = 0.002
_SHARE: Final = 10
"""Looking at the files takes a tenth of the time at most, beside looks of ``_CHEAP`` seconds, however many strangers
come: else each of them would cost a server with thousands of keys a look at all of them."""


def generate(directory: Path, name: str = SERVER, *, force: bool = False) -> str:
    """Writes a new pair into the directory, as ``name.key`` and ``name.key_secret``; the public key.

    Directories that are missing are created for their owner alone; beside a server's pair one for its clients.

    Raises:
        UsageError: the name is none, or there is such a pair and ``force`` was not said.
        OSError: the files cannot be written.
    """
    if not re.fullmatch(r"\w[\w.@-]*", name) or name == LOCAL:
        raise UsageError(f"{name!r} is no name for a key; take letters, digits, and _ . @ - (and not {LOCAL!r})")
    for path in (directory, directory / CLIENTS) if name == SERVER else (directory,):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    pair = Pair.generate()
    pair.write(directory, name, force=force)
    return pair.public_key


def server_secret(directory: Path) -> str:
    """The server's secret key.

    Raises:
        UsageError: there is none, others can read it, or write in the directory.
    """
    path = directory / f"{SERVER}{PRIVATE}"
    if not path.exists():
        raise UsageError(f"there is no {path}; make the server's keys with `elevator keygen {directory}`")
    for folder in (directory, directory / CLIENTS):
        _check_own(folder)
    return Pair.read(path).secret_key


def _check_own(folder: Path) -> None:
    """Refuse a directory that others can write: they would decide who gets in."""
    try:
        status = folder.stat()
    except FileNotFoundError:
        return
    if stat.S_IMODE(status.st_mode) & 0o022:
        raise UsageError(
            f"others can write in {folder}, and so let clients in; run: chmod go-w {shlex.quote(str(folder))}"
        )
    if status.st_uid not in (0, os.geteuid()):
        raise UsageError(
            f"{folder} belongs to another user, who can let clients in; make it yours, or serve as that user"
        )


class Clients:
    """The clients that a server knows, and what they may do. Any thread may ask.

    What is wrong in the files at the start is an error. Later it is logged, and nobody gains anything by it: a file of
    permissions that cannot be read, or has vanished, leaves those before in force, and a key file that cannot be read
    lets nobody in.

    Args:
        directory: see above.
        clock: seconds.

    Raises:
        UsageError: the permissions cannot be read.
    """

    def __init__(self, directory: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._directory = directory
        self._clock = clock
        self._lock = threading.Lock()
        self._table = self._read_table()
        self._due = self._rested = 0.0
        self._places: object = None
        self._seen: object = None
        self._failing = False
        self._rights: Mapping[str, Rights] = {}
        self.refresh()
        if self._rights.keys() == {LOCAL}:
            _LOG.warning("%s holds no client's key, so nobody can connect over TCP", directory / CLIENTS)

    def rights(self) -> Mapping[str, Rights]:
        """What each client may do, by its user id (public key, or ``local``), as of a second ago at most."""
        if self._clock() >= self._due:
            self.refresh()
        return self._rights

    def allows(self, key: str) -> bool:
        """Whether the client with this public key is known, as of now; where looking at all files takes long, a file
        whose content was replaced may be found a moment later."""
        if self._clock() >= self._rested or self._look_at_places() != self._places:
            self.refresh()
        return key in self._rights

    def refresh(self) -> None:
        """Reads the files again if they have changed."""
        with self._lock:
            self._due = self._clock() + STALE
            try:
                self._read_again()
            except OSError as error:  # too many open files, say: what was known before holds until it can be read again
                if self._seen is None:
                    raise
                if not self._failing:
                    _LOG.error("the keys in %s cannot be read now: %s", self._directory, error.strerror)
                self._failing = True

    def _read_again(self) -> None:
        places, began = self._look_at_places(), thread_time()
        seen = self._look()
        self._rested = self._clock() + _SHARE * max(0.0, thread_time() - began - _CHEAP)
        self._places = places
        if seen != self._seen:
            table = self._read_table_again()
            rights = rights_by_key(list(self._keys()), table)
            self._table, self._rights = table, rights
            _LOG.info("the keys in %s: %d clients", self._directory, len(self._rights) - 1)
        self._seen, self._failing = seen, False

    def reload(self) -> None:
        """Reads the files again, whether they have changed or not."""
        with self._lock:
            self._seen = None
        self.refresh()

    def _key_files(self) -> list["os.DirEntry[str]"]:
        try:  # not glob, which takes a directory that it cannot read for an empty one
            with os.scandir(self._directory / CLIENTS) as files:
                found = [file for file in files if file.name.endswith(PUBLIC) and not file.name.startswith(".")]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(found, key=lambda file: file.name)

    def _look_at_places(self) -> object:
        """What changes when a file comes or goes."""
        return _marks(self._directory / CLIENTS), _marks(self._directory / PERMISSIONS)

    def _look(self) -> object:
        """What changes with every change of the files."""
        files = [(file.name, *_marks(file)) for file in self._key_files()]
        return [_marks(self._directory / PERMISSIONS), *files]

    def _keys(self) -> Iterator[tuple[str, str]]:
        """Name and key of each client in a file."""
        for file in self._key_files():
            name = file.name.removesuffix(PUBLIC)
            try:
                if name in (LOCAL, EVERY):
                    raise UsageError(f"{file.path}: no client can be called {name}")
                yield name, read_public_key(file)
            except UsageError as error:
                _raise_if_out_of_files(error)
                _LOG.warning("a key is left out: %s", error)

    def _read_table(self) -> Mapping[str, Rights] | None:
        try:
            return read_permissions(self._directory / PERMISSIONS)
        except FileNotFoundError:
            return None

    def _read_table_again(self) -> Mapping[str, Rights] | None:
        """The permissions, or those before: what somebody is editing must not open the doors."""
        try:
            table = self._read_table()
        except UsageError as error:
            _raise_if_out_of_files(error)
            _LOG.error("what was allowed before stays allowed: %s", error)
            return self._table
        if table is None and self._table is not None:
            _LOG.error("what was allowed before stays allowed: %s has vanished", self._directory / PERMISSIONS)
            return self._table
        return table


def _raise_if_out_of_files(error: UsageError) -> None:
    """Raises the cause of an error that says nothing of the file: that this process has too many open ones."""
    if isinstance(error.__cause__, OSError) and error.__cause__.errno in (errno.EMFILE, errno.ENFILE):
        raise error.__cause__


def _marks(file: "Path | os.DirEntry[str]") -> tuple[int, ...]:
    """When and what the file was when it was written last; nothing if it is not there."""
    try:
        status = file.stat()
    except OSError:
        return ()
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino
