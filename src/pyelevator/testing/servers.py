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
    """A server that runs in a thread for as long as the block; it closes the application.

    Args:
        application: what answers.
        binds: URLs to listen on; by default TCP on loopback, with a port that the system chooses (``server.urls``).
    """
    with Server(application, binds or (ANY_PORT,)) as server:
        yield server


class ServerProcess:
    """``elevator serve`` as a process of its own; it is up when the constructor returns.

    Args:
        data: the directory of the databases; None for the memory engine.
        binds: URLs to listen on.
        engine: ``leveldb`` or ``memory``; by default what ``data`` says.
        args: further arguments of ``elevator serve``.
        timeout: seconds to wait for it to come up, and to stop.

    Attributes:
        urls: what it listens on, with the ports that the system chose.
        pid: of the process.

    Raises:
        RuntimeError: it did not come up; the message holds what it printed.
    """

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
        """The number of the process."""
        return self._process.pid

    @property
    def output(self) -> str:
        """What it has printed and logged so far, since its (re)start."""
        return "".join(self._lines)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """Ends it at once, with SIGKILL; nothing is answered and nothing is closed."""
        self._process.kill()
        self.wait()

    def stop(self, signal_number: int = signal.SIGTERM) -> int:
        """Asks it to stop, and waits; the exit code."""
        self._process.send_signal(signal_number)
        return self.wait()

    def wait(self) -> int:
        """Waits for its end; the exit code.

        Raises:
            subprocess.TimeoutExpired: it did not end in time.
        """
        code = self._process.wait(self._timeout)
        self._reader.join()
        return code

    def restart(self) -> None:
        """Starts it again, with the same data and on the same URLs; kills it first if it still runs."""
        self.kill()
        with _ports_kept(self.urls):
            self._start()

    def _words(self) -> list[str]:
        """The command, for the URLs that it has, or had before."""
        return ["serve", *[word for url in self.urls for word in ("--bind", url)], *self._args]

    def _start(self) -> None:
        self._lines: list[str] = []
        self._serving = threading.Event()
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter, and no shell
            [sys.executable, "-m", "pyelevator", *self._words()],
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
        """Collects the output, and knows from it when the server is up; at its end, nobody need wait any more."""
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
            raise RuntimeError(f"the server did not come up: {self.output}")


@contextmanager
def _ports_kept(urls: Sequence[str]) -> Iterator[None]:
    """Sees to it that the system gives the ports of these URLs to nobody who asks for any.

    On Linux a server can listen on a port that a socket that does not listen is bound to; elsewhere it could not.
    """
    with ExitStack() as stack:
        for url in urls:
            if url.startswith(_LOOPBACK) and sys.platform == "linux":
                kept = stack.enter_context(sockets.socket())
                kept.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
                with suppress(OSError):  # somebody was faster, which the server will say
                    kept.bind(("127.0.0.1", int(url.removeprefix(_LOOPBACK))))
        yield


class ProxyProcess(ServerProcess):
    """``elevator proxy`` as a process of its own.

    Args:
        upstream: the URL of the server behind it; None if a ``--config`` in ``args`` says so.
        listen: URLs to take clients from.
        args, timeout: as of a :class:`ServerProcess`.
    """

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

    def _words(self) -> list[str]:
        return ["proxy", *[word for url in self.urls for word in ("--listen", url)], *self._args]
