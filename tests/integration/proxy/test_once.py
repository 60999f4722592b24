"""Each request is answered exactly once, whatever upstream and clients do: a model of both around the core.

No sockets; the clock is the test's. Hypothesis chooses what happens: requests of three clients, two of which send ids,
and an upstream that answers in any order, twice, late, with garbage, or not at all.
"""

from collections import Counter
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pyelevator.codec import ClassicCodec
from pyelevator.commands import Get, MGet
from pyelevator.flows import sleep
from pyelevator.messages import Request, Response
from pyelevator.proxy.core import Core, PauseReading, ResetConnection, ResumeReading, SendToClient, SendToUpstream
from pyelevator.proxy.routing import Upstream

CODEC = ClassicCodec()
TIMEOUT = 5.0
CLIENTS = {b"tagged": True, b"also tagged": True, b"old": False}


def patient(request, forward):
    """Waits, and asks once more."""
    yield from forward(request)
    yield from sleep(0.5)
    return (yield from forward(request))


class Traffic(RuleBasedStateMachine):
    """Keys are numbers of requests; an answer holds the key that was asked for, so that a wrong one shows."""

    @initialize(
        echoes=st.booleans(),
        interceptors=st.sampled_from([(), (patient,)]),
        connections=st.sampled_from([1, 2, 1024]),
    )
    def start(self, echoes, interceptors, connections):
        upstream = Upstream("tcp://h:1", name="up", max_serial_connections=3, max_connections=connections)
        self.core = Core([upstream], interceptors, timeout=TIMEOUT)
        self.connections = connections
        self.paused = set()
        self.askers = {}
        self.echoes = echoes
        self.now = 100.0
        self.flying = []
        self.epochs: Counter[Any] = Counter()
        self.asked: dict[bytes, list[Any]] = {client: [] for client in CLIENTS}
        self.reported: dict[bytes, list[Any]] = {client: [] for client in CLIENTS}
        self.number = 0

    def act(self, actions):
        for action in actions:
            if isinstance(action, SendToClient):
                self.reported[action.identity].append(action.frames)
            elif isinstance(action, ResetConnection):
                self.epochs[action.connection] += 1
                self.paused.discard(action.connection)
            elif isinstance(action, PauseReading):
                self.paused.add(action.connection)
            elif isinstance(action, ResumeReading):
                self.paused.remove(action.connection)
            else:
                assert isinstance(action, SendToUpstream)
                assert action.expires_at <= self.now + TIMEOUT
                self.flying.append(
                    (action.connection, self.epochs[action.connection], action.frames, action.expires_at)
                )

    def answer(self, frames):
        request = CODEC.decode_request(frames)
        command = request.command
        payload = list(command.keys) if isinstance(command, MGet) else getattr(command, "key", b"PONG")
        return CODEC.encode_response(Response(payload, id=request.id if self.echoes else None), request)

    def arrive(self, transport, epoch, frames):
        """A message comes over a connection, if it is still there."""
        if epoch == self.epochs[transport]:
            self.act(self.core.upstream_sent("up", transport, frames, self.now))

    @rule(client=st.sampled_from(sorted(CLIENTS)), many=st.booleans())
    def ask(self, client, many):
        self.number += 1
        key = b"%d" % self.number
        self.askers[key] = client
        command = MGet([key, b"x"]) if many else Get(key)
        self.asked[client].append(command)
        request_id = len(self.asked[client]) if CLIENTS[client] else None
        self.act(self.core.client_sent(client, CODEC.encode_request(Request(command, "u", request_id)), self.now))

    @rule(client=st.sampled_from(sorted(CLIENTS)), frames=st.sampled_from([[b""], [b"\xc1"], [b"\x80"], [b"a", b"b"]]))
    def babble(self, client, frames):
        self.asked[client].append(None)
        self.act(self.core.client_sent(client, frames, self.now))

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), twice=st.booleans())
    def reply(self, data, twice):
        place = data.draw(st.integers(0, len(self.flying) - 1))
        transport, epoch, frames, _ = self.flying.pop(place)
        self.arrive(transport, epoch, self.answer(frames))
        if twice and self.echoes:  # nothing in a reply without an id tells the second from the next one's
            self.arrive(transport, epoch, self.answer(frames))

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def lose(self, data):
        self.flying.pop(data.draw(st.integers(0, len(self.flying) - 1)))

    @precondition(lambda self: self.flying)
    @rule(frames=st.sampled_from([[b"\xc1", b"\xc1"], [b""], [b"\x80", b"\x80"], [b"\x81\xa2id\x01", b"\xc1"]]))
    def garble(self, frames):
        transport, epoch, *_ = self.flying[0]
        self.arrive(transport, epoch, frames)
        self.flying = [one for one in self.flying if one[0] != transport or CODEC.decode_request(one[2]).id != 1]

    @rule(client=st.sampled_from(sorted(CLIENTS)))
    def stop_reading(self, client):
        self.act(self.core.client_blocked(client))

    @rule(client=st.sampled_from(sorted(CLIENTS)))
    def read_again(self, client):
        if client in self.core.blocked:
            self.act(self.core.client_unblocked(client, self.now))

    @rule(seconds=st.sampled_from([0.0, 0.5, 2.0, TIMEOUT]))
    def wait(self, seconds):
        self.now += seconds
        self.act(self.core.on_timer(self.now))

    @invariant()
    def no_client_gets_more_answers_than_questions(self):
        if hasattr(self, "core"):
            assert all(len(self.reported[client]) <= len(self.asked[client]) for client in CLIENTS)

    @invariant()
    def what_is_under_way_of_those_who_read_is_read(self):
        for transport, epoch, frames, until in getattr(self, "flying", ()):
            if epoch == self.epochs[transport] and until > self.now:
                assert transport not in self.paused or self.asker(frames) in self.core.blocked

    @invariant()
    def there_are_no_more_connections_than_there_may_be(self):
        """Not counting those that brought an answer too many, on which only what is in flight is answered."""
        if hasattr(self, "core") and self.echoes:
            assert all(transport < 2 * self.connections for transport, *_ in self.flying)

    def asker(self, frames):
        """Whose request that is."""
        command: Any = CODEC.decode_request(frames).command
        return self.askers[command.keys[0] if isinstance(command, MGet) else command.key]

    def teardown(self):
        """At the latest when the time of all is over, all are answered, each with its own or an error."""
        if not hasattr(self, "core"):
            return
        for client in CLIENTS:
            self.read_again(client)
        for _ in range(4 * self.number + 10):
            due = self.core.next_timeout()
            if due is None:
                break
            self.now = max(self.now, due)
            self.act(self.core.on_timer(self.now))
        assert self.core.unanswered == 0
        assert not self.core.is_full
        for client, has_id in CLIENTS.items():
            assert len(self.reported[client]) == len(self.asked[client])
            (self.check_ids if has_id else self.check_order)(client)

    def check_ids(self, client):
        answers = {CODEC.reply_id(frames): frames for frames in self.reported[client]}
        for number, command in enumerate(self.asked[client], 1):
            if command is not None:
                self.check(answers[number], command)

    def check_order(self, client):
        for frames, command in zip(self.reported[client], self.asked[client], strict=True):
            if command is not None:
                self.check(frames, command)

    def check(self, frames, command):
        if frames[-1] == b"\xc1":  # garbage under an id, which is passed on as it came
            return
        response = CODEC.decode_response(frames, Request(command))
        if response.code is None:
            assert response.payload == (list(command.keys) if isinstance(command, MGet) else command.key)


TestTraffic = Traffic.TestCase
TestTraffic.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
