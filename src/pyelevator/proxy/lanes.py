"""What is under way in a proxy: requests as jobs, or passed on, and the lanes to an upstream that they are on."""

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from attrs import define, field

from pyelevator.codec import Limits, codec_for
from pyelevator.flows import Flow
from pyelevator.messages import Request, Response
from pyelevator.protocol import ClientProtocol, IncomingRequest
from pyelevator.proxy.actions import Action, Renew, Rest, Resume
from pyelevator.proxy.clients import Client
from pyelevator.proxy.routing import Upstream

_OVER: Final = 2
"""How many times the connections that there may be there are at the most, while some are only being answered."""


@define(eq=False)
class Job:
    """One request of a client, on its way through the proxy.

    Attributes:
        turn: grows with every step; a timer that was set at an earlier turn means nothing any more.
        until: when the upstream's time for the request in hand is over.
        leave: takes the job out of where it waits, if it is given up there.
    """

    client: Client
    exchange: IncomingRequest
    flow: Flow[Response]
    turn: int = 0
    until: float = 0.0
    leave: Callable[[], None] = lambda: None


@define(eq=False)
class Passenger:
    """One request that is passed on unread, and answered likewise.

    Attributes:
        client, id: who sent it, and its id there.
        size: of its frame.
        until: when the upstream's time for it is over.
        uid, cursor: that it was sent with, if it was about a cursor.
        kept: the cursor that the server keeps.
    """

    client: Client
    id: int
    size: int
    until: float
    uid: bytes | None = None
    cursor: bytes | bool | None = None
    kept: bytes | None = None


@define(eq=False)
class Lane:
    """One connection to an upstream and what is in flight on it.

    Attributes:
        jobs: by their ids there.
        passengers: by the headers of the answers that they will probably get, in the order in which they came.
        timed: when the first of them is late is looked after.
        riders: how many clients have it as theirs.
        deaf: how many of these do not read.
        resting: nothing is read from it.
        late: answers may still come that nobody waits for any more.
        retired: one has come; nothing new goes over the connection, which ends when nothing is in flight.
    """

    number: int
    protocol: ClientProtocol
    jobs: dict[int, Job] = field(factory=dict)
    passengers: dict[bytes, Passenger] = field(factory=dict)
    timed: bool = False
    riders: int = 0
    deaf: int = 0
    resting: bool = False
    late: bool = False
    retired: bool = False

    @property
    def empty(self) -> bool:
        """Nothing is in flight on it."""
        return not (self.jobs or self.passengers)


@define(eq=False)
class Pool:
    """The lanes to one upstream, and who waits for one.

    An upstream that echoes ids takes any number of requests on a lane, and each client that has some under way has a
    lane of its own: so the answers of one, who may not read them, never stand before those of another. Where there
    are more clients than there may be lanes, some share one, which is read as long as one of them reads. An upstream
    that does not echo ids takes one at a time on each of a few, whoever it is from.

    Args:
        upstream: what it is.
        act: takes what is to be done.
        limits: what is taken from it.

    Attributes:
        heard: an answer has come that could be read.
        tagged: it had an id.
        waiting: jobs that wait for a lane; none where ids are echoed.
    """

    upstream: Upstream
    act: Callable[[Action], None]
    limits: Limits | None = None
    lanes: list[Lane] = field(factory=list)
    waiting: deque[tuple[Job, Request[Any]]] = field(factory=deque)
    heard: bool = False
    tagged: bool = False
    _seats: dict[Client, Lane] = field(factory=dict)
    _vacant: list[Lane] = field(factory=list)

    def is_old(self) -> bool | None:
        """Whether the server echoes no ids; None while nothing has been heard of it."""
        return not self.tagged if self.heard else None

    def learn(self, tagged: bool) -> None:
        """An answer has told what the upstream is."""
        self.heard = True
        if tagged and not self.tagged:
            self._vacant = [lane for lane in reversed(self._many) if not (lane.riders or lane.retired)]
        self.tagged = tagged

    def doubt(self) -> None:
        """What has come cannot be read: it may be another server by now."""
        self.heard = self.tagged = False

    def lane_for(self, client: Client) -> Lane | None:
        """The lane that a request of the client may ride on now."""
        return self.seat(client) if self.tagged else self._free_lane()

    def seat(self, client: Client) -> Lane:
        """The client's own lane, where ids are echoed."""
        lane = self._seats.get(client)
        if lane is None or lane.retired:
            self._unseat(client)
            lane = self._seats[client] = self._vacant.pop() if self._vacant else self._another()
            lane.riders += 1
            lane.deaf += client.held
            self.attune(lane)
        return lane

    def _unseat(self, client: Client) -> Lane | None:
        """Takes the client's lane from it; which one that was."""
        lane = self._seats.pop(client, None)
        if lane is not None:
            lane.riders -= 1
            lane.deaf -= client.held
            if not (lane.riders or lane.retired):
                self._vacant.append(lane)
            self.attune(lane)
        return lane

    def heed(self, client: Client) -> None:
        """The client no longer reads, or reads again."""
        lane = self._seats.get(client)
        if lane is not None:
            lane.deaf += 1 if client.held else -1
            self.attune(lane)

    def attune(self, lane: Lane) -> None:
        """Has the lane read or not, as it should be by now."""
        rests = self.tagged and 0 < lane.riders == lane.deaf and self._has_no_stranger(lane)
        if rests != lane.resting:
            lane.resting = rests
            self.act((Rest if rests else Resume)(self.upstream.name, lane.number))

    def _has_no_stranger(self, lane: Lane) -> bool:
        """Nothing is in flight on it of clients whose it is not, from when it was not known that ids are echoed."""
        return all(self._seats.get(job.client) is lane for job in lane.jobs.values())

    def renew(self, lane: Lane) -> None:
        """Replaces the connection of a lane; what was in flight there is for nobody."""
        lane.protocol = self.protocol()
        lane.late = lane.resting = lane.retired = False
        self.act(Renew(self.upstream.name, lane.number))

    def own(self, client: Client) -> Lane | None:
        """The client's lane, if it has one and shares it with nobody."""
        lane = self._seats.get(client)
        return lane if lane is not None and lane.riders == 1 else None

    def leave(self, client: Client) -> None:
        """Nothing of the client is under way any more."""
        lane = self._unseat(client)
        if lane is not None and lane.late and lane.empty and not lane.riders:
            self.renew(lane)

    def retire(self, lane: Lane) -> None:
        """An answer has come that nobody waits for: the connection is good for what is in flight, and for no more."""
        lane.retired = True
        self.settle(lane)

    def settle(self, lane: Lane) -> None:
        """Replaces a connection that is of no more use, once nothing is in flight on it."""
        if lane.retired and lane.empty:
            self.renew(lane)
            if not lane.riders and lane in self._many:
                self._vacant.append(lane)

    @property
    def _many(self) -> list[Lane]:
        """Those that there may be where ids are echoed."""
        return self.lanes[: self.upstream.max_connections]

    def _another(self) -> Lane:
        """A new one, or one to share: rather not with those who do not read."""
        most, good = self.upstream.max_connections, [lane for lane in self.lanes if not lane.retired]
        if len(good) < most and len(self.lanes) < _OVER * most:
            return self._open()
        return min(good or self.lanes, key=lambda lane: (lane.resting, lane.deaf, lane.riders))

    def _free_lane(self) -> Lane | None:
        """One of the few with nothing in flight."""
        most = self.upstream.max_serial_connections
        most = most if self.heard else min(most, self.upstream.max_connections)
        few = self.lanes[:most]
        lane = next((lane for lane in few if lane.empty), None)
        return self._open() if lane is None and len(few) < most else lane

    def _open(self) -> Lane:
        lane = Lane(len(self.lanes), self.protocol())
        self.lanes.append(lane)
        return lane

    def protocol(self) -> ClientProtocol:
        """A new one, with what is known of the upstream."""
        protocol = ClientProtocol(self.upstream.codec or codec_for(self.upstream.dialect, self.limits))
        protocol.echoes_ids = self.tagged
        return protocol
