"""Servers for tests: in a thread of this process, or as a real process.

::

    with serve(Application.in_memory()) as server:
        with Elevator.from_url(server.urls[0]) as E: ...

    with ServerProcess(data=tmp_path) as process:
        with Elevator.from_url(process.urls[0]) as E: ...
        process.kill()
        process.restart()
"""

import os
import signal
import socket as sockets
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, Self

from pyelevator.application import Application
from pyelevator.server.server import Server

ANY_PORT: Final = "tcp://127.0.0.1:0"
_LOOPBACK: Final = "tcp://127.0.0.1:"


@contextmanager
def serve(application: Application, *binds: str) -> Iterator[Server]:
    """Run a server in a thread within the block; it closes the application.

    Args:
        application: responds to the requests.
        binds: URLs to listen on; by default TCP on loopback, with a port that the system chooses (``server.urls``).
    """
    with Server(application, binds or (ANY_PORT,)) as server:
        yield server


class ServerProcess:
    """A process that runs ``elevator serve``; it is ready when the constructor returns.

    Args:
        data: the directory of the databases; None for the memory engine.
        binds: URLs to listen on.
        engine: ``leveldb`` or ``memory``; by default leveldb if there is a data directory.
        args: further arguments of ``elevator serve``.
        timeout: seconds to wait for the start, and for the end.

    Attributes:
        urls: the bound URLs, with the ports that the system chose.
        pid: of the process.

    Raises:
        RuntimeError: it did not start; the message contains its output.
    """

    _COMMAND = ("serve", "--bind")

    def __init__(
        self,
        data: str | Path | None = None,
        *,
        binds: Sequence[str] = (ANY_PORT,),
        engine: str | None = None,
        args: Sequence[str] = (),
        timeout: float = 60.0,
    ) -> None:
        engine = engine or ("memory" if data is None else "leveldb")
        self._args = ["--engine", engine, *(() if data is None else ("--data", str(data))), *args]
        self._timeout = timeout
        self.urls = tuple(binds)
        self._start()

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    @property
    def url(self) -> str:
        """The first bound URL."""
        return self.urls[0]

    @property
    def output(self) -> str:
        """The output and the log since the last start."""
        return "".join(self._lines)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """End the process at once with SIGKILL; nothing is answered and nothing is closed."""
        self._process.kill()
        self.wait()

    def stop(self, signal_number: int = signal.SIGTERM) -> int:
        """Send a signal, wait for the end, and return the exit code.

        Args:
            signal_number: SIGTERM stops gracefully.

        Raises:
            subprocess.TimeoutExpired: it did not end in time.
        """
        self._process.send_signal(signal_number)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end, and return the exit code.

        Raises:
            subprocess.TimeoutExpired: it did not end in time.
        """
        code = self._process.wait(self._timeout)
        self._reader.join()
        return code

    def restart(self) -> None:
        """Start the process again with the same data and URLs; kill it first if it still runs."""
        self.kill()
        with _reserved_ports(self.urls):
            self._start()

    def _start(self) -> None:
        self._lines: list[str] = []
        self._serving = threading.Event()
        command, option = self._COMMAND
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter, and no shell
            [sys.executable, "-m", "pyelevator", command, *[f"{option}={url}" for url in self.urls], *self._args],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._await_serving()

    def _read(self) -> None:
        """Collect the output, and notice in it when the server is ready; the end of the output also ends the wait."""
        with self._process:
            for line in self._process.stdout or ():
                self._lines.append(line)
                if line.startswith("serving "):
                    self.urls = tuple(line.removeprefix("serving ").partition(" (")[0].split(" "))
                    self._serving.set()
        self._serving.set()

    def _await_serving(self) -> None:
        self._serving.wait(self._timeout)
        if not any(line.startswith("serving ") for line in self._lines):
            self.kill()
            raise RuntimeError(f"the server did not start: {self.output}")


@contextmanager
def _reserved_ports(urls: Sequence[str]) -> Iterator[None]:
    """Prevent the system from choosing the ports of these URLs for other sockets.

    On Linux a server can listen on a port that a socket that does not listen is bound to; elsewhere it could not.
    """
    with ExitStack() as stack:
        for url in urls:
            if url.startswith(_LOOPBACK) and sys.platform == "linux":
                reserved = stack.enter_context(sockets.socket())
                reserved.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
                with suppress(OSError):  # the port is in use by now, which the server will report
                    reserved.bind(("127.0.0.1", int(url.removeprefix(_LOOPBACK))))
        yield


class ProxyProcess(ServerProcess):
    """A process that runs ``elevator proxy``.

    Args:
        upstream: the URL of the server; None if ``args`` has a ``--config`` that names it.
        listen: URLs to accept clients on.
        args, timeout: as of a :class:`ServerProcess`.
    """

    _COMMAND = ("proxy", "--listen")

    def __init__(
        self,
        upstream: str | None,
        *,
        listen: Sequence[str] = (ANY_PORT,),
        args: Sequence[str] = (),
        timeout: float = 60.0,
    ) -> None:
        self._args = [*(() if upstream is None else ("--upstream", upstream)), *args]
        self._timeout = timeout
        self.urls = tuple(listen)
        self._start()
