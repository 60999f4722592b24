"""A server whose requests never end; run as a process by test_process."""

import logging
import sys
import threading

from pyelevator.server import Settings, process


class Stuck:
    tick_seconds = None

    def at_once(self, request):
        return None

    def __call__(self, request):
        print("stuck", flush=True)
        threading.Event().wait()

    def leave(self, connection):
        pass

    def close(self):
        pass


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
    logging.getLogger("pyelevator.server").addFilter(lambda record: not record.msg.startswith("listening"))
    process.open_application = lambda settings: Stuck()
    settings = Settings(engine="memory", binds=("tcp://127.0.0.1:0",))
    sys.exit(process.run(settings, lambda line: print(line, flush=True)))
