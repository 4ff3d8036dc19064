"""Each message has an id of its own, and all who get it have the same."""

import uuid
from concurrent.futures import ThreadPoolExecutor

from pipeline_client import PROFILE, address, enter  # noqa: F401: PROFILE is for the server
from test_pipeline import ended


def test_all_that_is_said_at_once_has_ids_of_its_own(server):
    """Also what is told in one millisecond: answers, errors, pings, who came and went."""
    with enter(server, "ada") as ada, enter(server, "ben") as ben:
        ada.send({"type": "create_room", "room_id": "broadcast:ids"})
        room = {"room_id": "broadcast:ids"}
        for client in [ada, ben]:
            client.send({"type": "join_room", **room})
            client.until("room_info")
        flush = 5 * [{"type": "leave_room", **room}, {"type": "leave_room", **room}, {"type": "join_room", **room}, {"type": "heartbeat"}, {"type": "x"}]
        for message in flush:
            ben.send(message)
        told = []
        while sum(message["type"] == "heartbeat" for message in told) < 5:
            told.append(ben.receive())
        ada.send({"type": "heartbeat"})
        while (message := ada.receive())["type"] != "heartbeat":
            told.append(message)
        kinds = [message["type"] for message in told]
        for kind in ["heartbeat", "room_left", "room_info", "room_member_joined", "room_member_left"]:
            assert kinds.count(kind) >= 5, kinds
        ids = [message["message_id"] for message in told]
        assert len(set(ids)) == len(ids)
        assert {uuid.UUID(each).version for each in ids} == {4}


def test_who_is_refused_at_once_is_told_with_ids_of_their_own(server):
    with ThreadPoolExecutor(20) as pool:
        errors = list(pool.map(lambda _: ended(server, address("no.good.token"))[0], range(100)))
    assert len({error["message_id"] for error in errors}) == 100


def test_what_all_of_a_room_are_told_has_one_id(server):
    room, clients = {"room_id": "broadcast:one-id"}, [enter(server, "ada", "admin") for _ in range(4)]
    clients[0].send({"type": "create_room", **room})
    clients[0].until("room_created")
    for client in clients:
        client.send({"type": "join_room", **room})
        client.until("room_info")
    for _ in range(2):
        clients[0].send({"type": "room_message", **room, "data": 1})
    clients[0].send({"type": "leave_room", **room})
    for kind, many in [("room_message", 2), ("room_member_left", 1)]:
        told = [[client.until(kind)["message_id"] for _ in range(many)] for client in clients[1:]]
        assert told[1:] == told[:-1] and len(set(told[0])) == many, kind
    for client in clients:
        client.close()
