"""A server whose requests never end; run as a process by test_server_process."""

import logging
import sys
import threading
from typing import Any, cast

from pyelevator.cli.processes import server as server_process
from pyelevator.config import ServerSettings


class Stuck:
    maintenance_interval = None
    min_workers = 0

    def try_handle(self, request):
        return None

    def __call__(self, request):
        print("stuck", flush=True)
        threading.Event().wait()

    def connection_ended(self, connection):
        pass

    def close(self):
        pass


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
    logging.getLogger("pyelevator.server").addFilter(lambda record: not record.msg.startswith("listening"))
    server_process.open_application = lambda settings: cast(Any, Stuck())
    settings = ServerSettings(engine="memory", binds=("tcp://127.0.0.1:0",))
    sys.exit(server_process.run_server(settings, lambda line: print(line, flush=True)))
