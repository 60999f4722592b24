"""A migration from an old server to a new one, while its clients go on working and notice nothing.

The clients talk to a proxy from the first step to the last, in the dialect that they have always spoken:

1. the new server gets the same databases; the proxy passes everything on to the old server, and a mirror in it repeats
   every write at the new one;
2. what was there before is copied, page by page;
3. writes are held for a moment, and what still differs is mended: a key that was written while its page was copied;
4. from then on the proxy passes everything on to the new server.

The old server is spoken to in the flat dialect, as one of the 0.7 line is; to try it out, any server will do.
"""

import tempfile
import threading
from pathlib import Path
from typing import Any

from attrs import evolve

from pyelevator import Elevator
from pyelevator.client.interceptors.mirror import Mirror
from pyelevator.commands import DbConnect
from pyelevator.flows import Flow, Forward, sleep
from pyelevator.messages import Request, Response
from pyelevator.proxy import Proxy, Upstream
from pyelevator.proxy.routing import send_to
from pyelevator.testing.servers import ServerProcess
from pyelevator.transports import TcpTransport


class Switch:
    """An interceptor that sends everything to the old server, holds writes when asked to, then sends all to the new.

    The uids that clients have from the old server lead to the databases of the same names at the new one.
    """

    def __init__(self) -> None:
        self._moved = self._held = False
        self._under_way = 0
        self._change = threading.Condition()
        self._names: dict[str | None, str] = {}
        self._uids: dict[str | None, str] = {}

    def __call__(self, request: Request[Any], forward: Forward) -> Flow[Response]:
        while not self._may_pass(request):
            yield from sleep(0.01)
        try:
            if self._moved:
                return (yield from self._to_the_new(request))
            response = yield from forward(request)
            self._learn(request, response)
            return response
        finally:
            self._passed(request)

    def _may_pass(self, request: Request[Any]) -> bool:
        with self._change:
            if self._held and request.command.writes:
                return False
            self._under_way += request.command.writes
            return True

    def _passed(self, request: Request[Any]) -> None:
        with self._change:
            self._under_way -= request.command.writes
            self._change.notify_all()

    def _learn(self, request: Request[Any], response: Response) -> None:
        if isinstance(request.command, DbConnect) and response.code is None:
            self._names[response.payload.decode()] = request.command.name

    def _to_the_new(self, request: Request[Any]) -> Flow[Response]:
        name = self._names.get(request.uid)
        if name is not None and request.uid not in self._uids:
            found = yield from send_to("new", Request(DbConnect(name)))
            if found.code is not None:
                return found
            self._uids[request.uid] = found.payload.decode()
        response = yield from send_to("new", evolve(request, uid=self._uids.get(request.uid, request.uid)))
        return evolve(response, features=())  # clients shall use no more than the old server has

    def hold(self) -> None:
        """Lets writes wait from now on; returns when those under way are answered."""
        with self._change:
            self._held = True
            self._change.wait_for(lambda: not self._under_way)

    def move(self) -> None:
        """Sends everything to the new server, the writes that wait first."""
        with self._change:
            self._moved, self._held = True, False


def copy(old: Elevator[bytes], new: Elevator[bytes]) -> int:
    """Copies the connected database; how many pairs."""
    count = 0
    batch = new.WriteBatch()
    for count, (key, value) in enumerate(old.RangeIter(), 1):
        batch.Put(key, value)
        if count % 1000 == 0:
            batch.Write()
    batch.Write()
    return count


def repair(old: Elevator[bytes], new: Elevator[bytes]) -> int:
    """Makes ``new`` equal to ``old``; how many keys were not. (What is too large for memory, compare in parts.)"""
    wanted: dict[bytes, bytes] = dict(old.RangeIter())
    there: dict[bytes, bytes] = dict(new.RangeIter())
    too_many = there.keys() - wanted.keys()
    different = [key for key, value in wanted.items() if there.get(key) != value]
    with new.WriteBatch() as batch:
        for key in too_many:
            batch.Delete(key)
        for key in different:
            batch.Put(key, wanted[key])
    return len(too_many) + len(different)


def create_databases(old: Elevator[bytes], new: Elevator[bytes]) -> None:
    """Step 1, before the first write comes: who creates a database later would meet the mirror, which does so too."""
    for name in old.listdb():
        if name not in new.listdb():
            new.createdb(name)


def migrate(old: Elevator[bytes], new: Elevator[bytes], switch: Switch, mirror: Mirror) -> None:
    """Steps 2 to 4; ``old`` and ``new`` are connected to the servers themselves, past the proxy."""
    databases = old.listdb()
    for name in databases:
        old.connect(name)
        new.connect(name)
        print(f"copied {name}: {copy(old, new) >= 2000}")
    switch.hold()
    mirror.flush()
    for name in databases:
        old.connect(name)
        new.connect(name)
        repair(old, new)
        print(f"{name} is the same on both: {repair(old, new) == 0}")
    switch.move()


class Shop(threading.Thread):
    """The application that must not notice. It writes all the time, and remembers what was acknowledged."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.orders: dict[str, str] = {}
        self.count = 0
        self._url = url
        self._over = False
        self._news = threading.Condition()

    def run(self) -> None:
        with Elevator.from_url(f"{self._url}/orders?dialect=flat&timeout=60") as db:
            while not self._over:
                self._order(db, f"order/{self.count % 500:05}", str(self.count))
                with self._news:
                    self.count += 1
                    self._news.notify_all()

    def _order(self, db: Elevator[str], key: str, value: str) -> None:
        db.Put(key, value)
        self.orders[key] = value
        if value.endswith("7"):
            db.Delete(key)
            del self.orders[key]

    def sells(self) -> bool:
        """Whether a hundred more orders come in."""
        with self._news:
            target = self.count + 100
            return self._news.wait_for(lambda: self.count >= target or not self.is_alive(), 60) and self.is_alive()

    def close(self) -> None:
        self._over = True
        self.join()


def fill(url: str) -> None:
    """What was there before the migration."""
    with Elevator.from_url(f"{url}?dialect=flat") as E:
        E.createdb("orders")
        for name in E.listdb():
            E.connect(name)
            with E.WriteBatch() as batch:
                for number in range(3000):
                    batch.Put(f"old/{number:05}", name)


def play(old_url: str, new_url: str) -> None:
    old_address, new_address = (url.removeprefix("tcp://") for url in (old_url, new_url))
    switch = Switch()
    upstreams = [Upstream(f"{old_url}?dialect=flat", name="old"), Upstream(new_url, databases=(), name="new")]
    with (
        Elevator(endpoint=old_address, dialect="flat", encoding=None) as old,
        Elevator(endpoint=new_address, encoding=None) as new,
    ):
        create_databases(old, new)
        with (
            Mirror(TcpTransport(new_address), timeout=60) as mirror,
            Proxy(["tcp://127.0.0.1:0"], upstreams, [switch, mirror]) as proxy,
        ):
            shop = Shop(proxy.urls[0])
            shop.start()
            print("the shop sells before:", shop.sells())
            migrate(old, new, switch, mirror)
            print("the shop sells afterwards:", shop.sells())
            shop.close()
        there = {key.decode(): value.decode() for key, value in new.RangeIter(prefix="order/")}
        print("every acknowledged order is at the new server, and no other:", there == shop.orders)


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        ServerProcess(data=Path(folder, "old")) as old,
        ServerProcess(data=Path(folder, "new")) as new,
    ):
        fill(old.urls[0])
        play(old.urls[0], new.urls[0])


if __name__ == "__main__":
    main()
