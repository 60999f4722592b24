"""The client table that the server's scheduler and the proxy share: its totals are those of its clients."""

from collections.abc import Sequence
from typing import TypeAlias

from hypothesis import given, strategies as st

from pyelevator.peers.client_table import ClientState, ClientTable, Message

Table: TypeAlias = ClientTable[ClientState[Message]]
CLIENTS = [b"a", b"b"]
EVENTS = ["start", "finish", "enqueue", "enqueue first", "dequeue", "block", "unblock", "suspend", "unsuspend", "clear"]


def totals(table: Table) -> tuple[int, int, int, int]:
    return table.pending_count, table.pending_bytes, table.stalled_count, table.stalled_bytes


def expected_totals(table: Table, clients: Sequence[bytes]) -> tuple[int, int, int, int]:
    known = [client for client in map(table.get, clients) if client is not None]
    queues = [message.nbytes for client in known if not client.is_suspended for message in client.queue]
    stalled = [client for client in known if client.is_blocked]
    return (
        sum(client.in_flight for client in known) + len(queues),
        sum(client.in_flight_bytes for client in known) + sum(queues),
        sum(client.in_flight for client in stalled),
        sum(client.in_flight_bytes for client in stalled),
    )


def apply(table: Table, client: ClientState[Message], event: str) -> None:
    match event:
        case "start":
            table.request_started(client, 10)
        case "finish" if client.in_flight:
            table.request_finished(client, 10)
        case "enqueue" | "enqueue first":
            table.enqueue(client, Message([b"x" * len(client.queue)]), is_first=event == "enqueue first")
        case "dequeue" if client.queue:
            table.dequeue(client)
        case "block" if not client.is_blocked:
            table.mark_blocked(client)
        case "unblock" if client.is_blocked:
            table.mark_unblocked(client)
        case "suspend" | "unsuspend" if not client.is_blocked:
            getattr(table, event)(client)
        case "clear":
            table.clear_queue(client)


@given(st.lists(st.tuples(st.sampled_from(CLIENTS), st.sampled_from(EVENTS)), max_size=40))
def test_the_totals_are_those_of_the_clients_after_any_events(events: list[tuple[bytes, str]]) -> None:
    table: Table = ClientTable(ClientState)
    for identity, event in events:
        client = table.get_or_create(identity)
        apply(table, client, event)
        assert totals(table) == expected_totals(table, CLIENTS)
        assert client.queued_bytes == sum(message.nbytes for message in client.queue)
        assert table.blocked_bytes(identity) == (client.queued_bytes if client.is_blocked else 0)
        assert table.blocked_clients() == [known.identity for known in table.blocked.values() if known.is_blocked]
        table.forget_if_idle(client)
        assert (identity in table) == bool(client.in_flight or client.queue or client.is_blocked)


def test_messages_wait_in_order_and_one_that_is_put_back_is_first() -> None:
    table: Table = ClientTable(ClientState)
    client = table.get_or_create(b"a")
    for name in (b"1", b"2"):
        table.enqueue(client, Message([name]))
    table.enqueue(client, Message([b"0"]), is_first=True)
    assert [table.dequeue(client).frames for _ in range(3)] == [[b"0"], [b"1"], [b"2"]]
    assert totals(table) == (0, 0, 0, 0)
    assert Message([b"ab", b"c"], "key").request_bytes == 3
