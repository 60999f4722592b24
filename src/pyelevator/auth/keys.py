"""The directory of keys: a server's own secret, and the clients that may connect. It is re-read when it changes.

::

    keys/server.key_secret     the server's key pair; no other user may read it (elevator keygen keys)
    keys/server.key            its public key, for the clients
    keys/clients/alice.key     the public key of one client (elevator keygen ... --name alice)
    keys/permissions.toml      what the clients may do, see :mod:`pyelevator.auth.permissions`; without it everything
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
from contextlib import suppress
from pathlib import Path
from time import thread_time
from typing import Final

from pyelevator.auth.permissions import ANY_DATABASE, Permissions, permissions_by_key, read_permissions
from pyelevator.errors import UsageError
from pyelevator.transports.authentication import LOCAL
from pyelevator.transports.curve import PUBLIC_SUFFIX, SECRET_SUFFIX, KeyPair, read_public_key

_LOG: Final = logging.getLogger("pyelevator.server")

SERVER: Final = "server"
CLIENTS: Final = "clients"
PERMISSIONS: Final = "permissions.toml"

RELOAD_INTERVAL: Final = 1.0
"""Seconds after which the files are checked for changes."""

_MIN_CHECK_SECONDS: Final = 0.002
_MAX_CHECK_SHARE: Final = 10
"""Checks that take longer than ``_MIN_CHECK_SECONDS`` seconds use a tenth of the time at most.

Otherwise unknown clients could make a server with thousands of keys check all of them for each connection.
"""


def generate_keys(directory: Path, name: str = SERVER, *, force: bool = False) -> str:
    """Write a new key pair to a directory, as ``name.key`` and ``name.key_secret``.

    Missing directories are created for their owner only. Beside a server's pair a directory for client keys is made.

    Args:
        directory: where to write.
        name: of the client, or ``server``.
        force: replace an existing pair.

    Returns:
        The public key.

    Raises:
        UsageError: the name is invalid, or the pair exists and ``force`` is False.
        OSError: the files cannot be written.
    """
    if not re.fullmatch(r"\w[\w.@-]*", name) or name == LOCAL:
        raise UsageError(f"{name!r} is no name for a key; take letters, digits, and _ . @ - (and not {LOCAL!r})")
    for path in (directory, directory / CLIENTS) if name == SERVER else (directory,):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    pair = KeyPair.generate()
    pair.write(directory, name, force=force)
    return pair.public_key


def server_secret(directory: Path) -> str:
    """Read the server's secret key.

    Args:
        directory: of the keys.

    Raises:
        UsageError: it is missing, other users can read it, or they can write to the directory.
    """
    path = directory / f"{SERVER}{SECRET_SUFFIX}"
    if not path.exists():
        raise UsageError(f"there is no {path}; make the server's keys with `elevator keygen {directory}`")
    for folder in (directory, directory / CLIENTS):
        _check_owner(folder)
    return KeyPair.read(path).secret_key


def _check_owner(folder: Path) -> None:
    """Refuse a directory that other users can write to: they could add clients."""
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
            f"{folder} belongs to another user, and that user can let clients in; make it yours, or serve as that user"
        )


class ClientKeys:
    """The clients that a server knows, and their permissions. All methods are thread-safe.

    Malformed files are an error at the start. Later they are logged and never grant more: if the permissions cannot be
    read or have vanished, the previous ones stay in force, and a key file that cannot be read admits no client.

    Args:
        directory: of the keys, see above.
        clock: returns seconds.

    Raises:
        UsageError: the permissions cannot be read.
    """

    def __init__(self, directory: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._directory = directory
        self._clock = clock
        self._lock = threading.Lock()
        self._table: Mapping[str, Permissions] | None = None
        with suppress(FileNotFoundError):
            self._table = read_permissions(directory / PERMISSIONS)
        self._due = self._may_check_at = 0.0
        self._directory_fingerprint: object = None
        self._fingerprint: object = None
        self._is_failing = False
        self._permissions: Mapping[str, Permissions] = {}
        self.reload_if_changed()
        if self._permissions.keys() == {LOCAL}:
            _LOG.warning("%s holds no client keys, so no client can connect over TCP", directory / CLIENTS)

    def permissions(self) -> Mapping[str, Permissions]:
        """Return the permissions of each client by its user id (its public key, or ``local``), at most a second old."""
        if self._clock() >= self._due:
            self.reload_if_changed()
        return self._permissions

    def is_known(self, key: str) -> bool:
        """Return True if a client has this public key.

        The answer is current, except that a replaced file may be noticed later where checking all files takes long.
        """
        if self._clock() >= self._may_check_at or self._fingerprint_directories() != self._directory_fingerprint:
            self.reload_if_changed()
        return key in self._permissions

    def reload_if_changed(self) -> None:
        """Read the files again if they have changed.

        Raises:
            OSError: they cannot be read the first time; later failures are logged, and the previous keys stay valid.
        """
        with self._lock:
            self._due = self._clock() + RELOAD_INTERVAL
            try:
                self._read_changes()
            except OSError as error:  # for instance too many open files
                if self._fingerprint is None:
                    raise
                if not self._is_failing:
                    _LOG.error("the keys in %s cannot be read now: %s", self._directory, error.strerror)
                self._is_failing = True

    def _read_changes(self) -> None:
        directory_fingerprint, began = self._fingerprint_directories(), thread_time()
        fingerprint = self._fingerprint_files()
        excess = max(0.0, thread_time() - began - _MIN_CHECK_SECONDS)
        self._may_check_at = self._clock() + _MAX_CHECK_SHARE * excess
        self._directory_fingerprint = directory_fingerprint
        if fingerprint != self._fingerprint:
            table = self._read_table_again()
            permissions = permissions_by_key(list(self._read_keys()), table)
            self._table, self._permissions = table, permissions
            _LOG.info("the keys in %s: %d clients", self._directory, len(self._permissions) - 1)
        self._fingerprint, self._is_failing = fingerprint, False

    def reload(self) -> None:
        """Read the files again, changed or not."""
        with self._lock:
            self._fingerprint = None
        self.reload_if_changed()

    def _key_files(self) -> list["os.DirEntry[str]"]:
        try:  # not glob, which treats an unreadable directory as empty
            with os.scandir(self._directory / CLIENTS) as files:
                found = [file for file in files if file.name.endswith(PUBLIC_SUFFIX) and not file.name.startswith(".")]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(found, key=lambda file: file.name)

    def _fingerprint_directories(self) -> object:
        """Return a value that changes when a file is added or removed."""
        return _stat_key(self._directory / CLIENTS), _stat_key(self._directory / PERMISSIONS)

    def _fingerprint_files(self) -> object:
        """Return a value that changes whenever a file changes."""
        files = [(file.name, *_stat_key(file)) for file in self._key_files()]
        return [_stat_key(self._directory / PERMISSIONS), *files]

    def _read_keys(self) -> Iterator[tuple[str, str]]:
        """Yield the name and key of each client file; files that cannot be read are logged and skipped."""
        for file in self._key_files():
            name = file.name.removesuffix(PUBLIC_SUFFIX)
            try:
                if name in (LOCAL, ANY_DATABASE):
                    raise UsageError(f"{file.path}: no client can be called {name}")
                yield name, read_public_key(file)
            except UsageError as error:
                _raise_if_out_of_files(error)
                _LOG.warning("a key is left out: %s", error)

    def _read_table_again(self) -> Mapping[str, Permissions] | None:
        """Read the permissions, or keep the previous ones, so that a half-edited file grants nothing."""
        reason: object
        try:
            return read_permissions(self._directory / PERMISSIONS)
        except FileNotFoundError:
            if self._table is None:
                return None
            reason = f"{self._directory / PERMISSIONS} has vanished"
        except UsageError as error:
            _raise_if_out_of_files(error)
            reason = error
        _LOG.error("what was allowed before stays allowed: %s", reason)
        return self._table


def _raise_if_out_of_files(error: UsageError) -> None:
    """Raise the cause of the error if it is a lack of file descriptors, which says nothing about the file."""
    if isinstance(error.__cause__, OSError) and error.__cause__.errno in (errno.EMFILE, errno.ENFILE):
        raise error.__cause__


def _stat_key(file: "Path | os.DirEntry[str]") -> tuple[int, ...]:
    """Return a value that changes when the file is replaced or written; empty if it is missing."""
    try:
        status = file.stat()
    except OSError:
        return ()
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino
