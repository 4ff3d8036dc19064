"""The pipeline's rooms: who may create and enter them, who is told what, and what is sent there."""

import itertools
import uuid
from datetime import datetime

import pytest
from conftest import Server, eventually
from pipeline_client import PROFILE, access, enter

NUMBERS = itertools.count()


def new(kind="collaborative_session"):
    """A name that no other test uses."""
    return f"{kind}:r{next(NUMBERS)}"


def create(client, room_id, **more):
    client.send({"type": "create_room", "room_id": room_id, **more})
    return client.until("room_created")


def join(client, room_id, **more):
    client.send({"type": "join_room", "room_id": room_id, **more})
    return client.until("room_info")


def refused(client, message):
    """What a client is told that may not do it."""
    client.send(message)
    return client.until("connection_error")["data"]


def settle(client):
    """What was sent before is done."""
    client.send({"type": "heartbeat"})
    client.until("heartbeat")


def test_a_room_is_created_with_what_it_is_to_be(server):
    with enter(server, "ada") as ada:
        told = create(ada, "r-one", room_type="pipeline_operation", metadata={"max_members": 3, "is_private": True, "topic": "nightly"})
        assert (told["room_id"], told["room_type"], told["creator_id"]) == ("pipeline_operation:r-one", "pipeline_operation", "ada")
        assert (told["max_members"], told["is_private"], told["active"], told["members"]) == (3, True, True, [])
        assert told["metadata"]["topic"] == "nightly" and datetime.fromisoformat(told["created_at"]) and told["last_activity"]
        usual = create(ada, "collaborative_session:r-two")
        assert (usual["room_id"], usual["max_members"], usual["is_private"]) == ("collaborative_session:r-two", 50, False)


def test_a_room_needs_an_id_a_known_type_and_to_be_new(server):
    with enter(server, "ada") as ada:
        assert refused(ada, {"type": "create_room", "room_type": "broadcast"})["error_details"]["field"] == "room_id"
        wrong = refused(ada, {"type": "create_room", "room_id": "x", "room_type": "party"})
        assert wrong["error_message"] == "Invalid room type: party"
        assert refused(ada, {"type": "create_room", "room_id": "x"})["error_details"]["field"] == "room_type"
        assert refused(ada, {"type": "create_room", "room_id": "operation:x"})["error_code"] == "INVALID_MESSAGE"
        assert refused(ada, {"type": "create_room", "room_id": "broadcast:a b"})["error_details"]["field"] == "room_id"
        room = new("broadcast")
        create(ada, room)
        assert refused(ada, {"type": "create_room", "room_id": room})["error_code"] == "CONFLICT"


def test_what_a_room_is_to_be_is_checked_by_the_name_it_was_sent_under(server):
    with enter(server, "ada") as ada:
        for bad, field in [
            ({"room_id": "", "room_type": "broadcast"}, "room_id"),
            ({"room_id": "broadcast:"}, "room_id"),
            ({"metadata": {"max_members": 0}}, "metadata.max_members"),
            ({"metadata": {"max_members": "many"}}, "metadata.max_members"),
            ({"metadata": {"is_private": "yes"}}, "metadata.is_private"),
        ]:
            assert refused(ada, {"type": "create_room", "room_id": new(), **bad})["error_details"]["field"] == field, bad
        assert create(ada, new(), metadata={"max_members": 5_000})["max_members"] == 1_000, "what it can hold is what is said"


def test_who_says_too_much_of_itself_does_not_get_in(server):
    room = new()
    with enter(server, "ada") as ada, enter(server, "ben") as ben:
        create(ada, room)
        join(ada, room)
        assert refused(ben, {"type": "join_room", "room_id": room, "metadata": {"x": "y" * 1_100}})["error_details"]["field"] == "metadata"
        ada.send({"type": "room_message", "room_id": room, "data": 1})
        ada.send({"type": "heartbeat"})
        ada.silent(["room_member_joined"], lambda: "heartbeat")
        ben.send({"type": "heartbeat"})
        ben.silent(["room_message", "room_info"], lambda: "heartbeat")


def test_a_private_room_of_a_backend_is_for_the_user_that_it_names(server):
    room = new("pipeline_operation")
    event = {"type": "create_room", "room_id": room, "metadata": {"is_private": True}}
    assert server.event("pipeline", event, status=400)["details"]["field"] == "creator_id"
    answer = server.event("pipeline", {**event, "creator_id": "ada"})
    assert (answer["creator_id"], answer["is_private"]) == ("ada", True) and uuid.UUID(answer["message_id"])
    with enter(server, "ada") as ada, enter(server, "ben") as ben:
        assert join(ada, room)["creator_id"] == "ada"
        assert refused(ben, {"type": "join_room", "room_id": room})["error_code"] == "FORBIDDEN"


def test_a_backend_creates_rooms_too(server):
    room = new()
    answer = server.event("pipeline", {"type": "create_room", "room_id": room, "metadata": {"max_members": 1}})
    assert (answer["type"], answer["room_id"], answer["max_members"]) == ("room_created", room, 1)
    assert server.event("pipeline", {"type": "create_room", "room_id": room}, status=409)["code"] == 4014
    assert server.event("pipeline", {"type": "create_room", "room_id": "x", "room_type": "party"}, status=400)["code"] == 4005
    with enter(server, "ada") as ada:
        assert join(ada, room)["max_members"] == 1


def test_who_joins_gets_the_room_and_the_others_hear_of_it(server):
    room = new()
    with enter(server, "ada", client_id="techdeck_aaaaaaa1") as ada, enter(server, "ben", client_id="techdeck_bbbbbbb1") as ben:
        create(ada, room, metadata={"topic": "nightly"})
        join(ada, room, metadata={"name": "Ada"})
        info = join(ben, room.partition(":")[2], room_type="collaborative_session")
        assert (info["room_id"], info["room_type"], info["metadata"]) == (room, "collaborative_session", {"topic": "nightly"})
        members = {member["client_id"]: member for member in info["members"]}
        assert set(members) == {"techdeck_aaaaaaa1", "techdeck_bbbbbbb1"} and info["member_count"] == 2
        first = members["techdeck_aaaaaaa1"]
        assert first["role"] == "member" and first["metadata"] == {"name": "Ada"} and datetime.fromisoformat(first["joined_at"])
        told = ada.until("room_member_joined")
        assert (told["room_id"], told["client_id"], told["member_count"]) == (room, "techdeck_bbbbbbb1", 2)
        assert datetime.fromisoformat(told["timestamp"]) and uuid.UUID(told["message_id"]) and told["sender"] == "server"
        ben.send({"type": "heartbeat"})
        ben.silent(["room_member_joined"], lambda: "heartbeat")


def test_joining_twice_is_joining_once(server):
    room = new()
    with enter(server, "ada") as ada, enter(server, "ben") as ben:
        create(ada, room)
        join(ada, room)
        assert join(ben, room)["member_count"] == join(ben, room)["member_count"] == 2
        ada.until("room_member_joined")
        settle(ben)
        ada.send({"type": "heartbeat"})
        ada.silent(["room_member_joined"], lambda: "heartbeat")


def test_two_connections_of_one_user_are_two_members(server):
    room = new()
    with enter(server, "ada") as ada, enter(server, "ben", client_id="techdeck_bbbbbbb2") as one, enter(server, "ben", client_id="techdeck_bbbbbbb3") as two:
        create(ada, room)
        join(ada, room)
        for number, client in enumerate([one, two], 2):
            join(client, room)
            told = ada.until("room_member_joined")
            assert (told["client_id"], told["member_count"]) == (client.greeting["client_id"], number)
        one.close()
        told = ada.until("room_member_left")
        assert (told["client_id"], told["member_count"]) == ("techdeck_bbbbbbb2", 2)


def test_who_leaves_is_told_so_and_the_others_hear_of_it(server):
    room = new()
    with enter(server, "ada") as ada, enter(server, "ben", client_id="techdeck_bbbbbbb4") as ben:
        create(ada, room)
        join(ada, room)
        join(ben, room)
        ben.send({"type": "leave_room", "room_id": room})
        assert ben.until("room_left")["room_id"] == room
        told = ada.until("room_member_left")
        assert (told["room_id"], told["client_id"], told["member_count"]) == (room, "techdeck_bbbbbbb4", 1)
        assert datetime.fromisoformat(told["timestamp"])
        again = refused(ben, {"type": "leave_room", "room_id": room})
        assert again["error_code"] == "NOT_A_MEMBER" and "techdeck_bbbbbbb4" in again["error_message"]


def test_a_connection_that_ends_leaves_all_of_its_rooms(server):
    rooms = [new(), new()]
    with enter(server, "ada") as ada:
        ben = enter(server, "ben", client_id="techdeck_bbbbbbb5")
        for room in rooms:
            create(ada, room)
            join(ada, room)
            join(ben, room)
        server.http("DELETE", "/v1/connections/techdeck_bbbbbbb5", status=200)
        assert ben.ended()[0] == 1000
        left = {ada.until("room_member_left")["room_id"] for _ in rooms}
        assert left == set(rooms)


def test_a_room_that_is_not_there_cannot_be_used(server):
    with enter(server, "ada") as ada:
        for kind in ["join_room", "room_message"]:
            assert refused(ada, {"type": kind, "room_id": new(), "data": {}})["error_code"] == "SESSION_NOT_FOUND", kind
        assert refused(ada, {"type": "leave_room", "room_id": new()})["error_code"] == "NOT_A_MEMBER"
        assert refused(ada, {"type": "join_room", "room_id": "no-type"})["error_message"] == "Room no-type not found"
        assert refused(ada, {"type": "join_room"})["error_details"]["field"] == "room_id"


@pytest.mark.parametrize("other", ["operation:x", "pipeline_feed:x", "pipeline_system:all", "surgery:1", "@user:ben", "@all"])
def test_rooms_of_other_types_are_not_reached_by_these_messages(server, other):
    with enter(server, "eve", "admin") as eve:
        for kind in ["create_room", "join_room", "leave_room", "room_message"]:
            assert refused(eve, {"type": kind, "room_id": other, "room_type": other.partition(":")[0], "data": {}})["error_code"] in [
                "INVALID_MESSAGE",
                "SESSION_NOT_FOUND",
            ], kind


def test_only_therapists_and_admins_enter_pipeline_operations(server):
    room = new("pipeline_operation")
    with enter(server, "ada", "therapist") as ada, enter(server, "root", "admin") as root, enter(server, "pat", "patient") as patient:
        create(ada, room)
        join(ada, room)
        join(root, room)
        for kind in ["join_room", "room_message"]:
            assert refused(patient, {"type": kind, "room_id": room, "data": {}})["error_code"] == "FORBIDDEN", kind
        assert refused(patient, {"type": "create_room", "room_id": new("pipeline_operation")})["error_code"] == "FORBIDDEN"


def test_everybody_but_the_anonymous_enters_collaborative_sessions_and_everybody_listens_to_broadcasts(server):
    session, broadcast = new(), new("broadcast")
    with enter(server, "ada") as ada, enter(server, "pat", "patient") as patient, enter(server, "guest", "anonymous") as guest:
        create(ada, session)
        create(ada, broadcast)
        for client in [ada, patient]:
            join(client, session)
        assert refused(guest, {"type": "join_room", "room_id": session})["error_code"] == "FORBIDDEN"
        for client in [ada, patient, guest]:
            join(client, broadcast)
        assert refused(guest, {"type": "room_message", "room_id": broadcast, "data": {}})["error_code"] == "FORBIDDEN"
        ada.send({"type": "room_message", "room_id": broadcast, "data": {"n": 1}})
        assert guest.until("room_message")["data"] == {"n": 1}


def test_a_private_room_is_for_its_creator(server):
    room = new()
    with enter(server, "ada") as ada, enter(server, "ada") as tablet, enter(server, "ben") as ben:
        create(ada, room, metadata={"is_private": True})
        assert join(ada, room)["is_private"] is True
        join(tablet, room)
        for kind in ["join_room", "room_message"]:
            assert refused(ben, {"type": kind, "room_id": room, "data": {}})["error_code"] == "FORBIDDEN", kind


def test_a_full_room_takes_nobody_until_somebody_leaves(server):
    room = new()
    with enter(server, "ada") as ada, enter(server, "ben") as ben, enter(server, "cyd") as cyd:
        create(ada, room, metadata={"max_members": 2})
        join(ada, room)
        join(ben, room)
        full = refused(cyd, {"type": "join_room", "room_id": room})
        assert full["error_code"] == "SESSION_FULL" and full["retry_allowed"] is True
        ben.send({"type": "leave_room", "room_id": room})
        ben.until("room_left")
        join(cyd, room)


def test_a_room_has_fifty_members_unless_its_creator_says_otherwise(server):
    room = new()
    clients = [enter(server, f"crowd-{number}") for number in range(51)]
    create(clients[0], room)
    for client in clients[:50]:
        join(client, room)
    assert refused(clients[50], {"type": "join_room", "room_id": room})["error_code"] == "SESSION_FULL"
    for client in clients:
        client.close()


def test_what_members_say_reaches_the_others_as_theirs(server):
    room = new()
    with enter(server, "ada") as ada, enter(server, "ben") as ben:
        create(ada, room)
        join(ada, room)
        join(ben, room)
        ben.send({"type": "room_message", "room_id": room, "data": {"text": "hi"}, "user_id": "ada", "sender": "server"})
        told = ada.until("room_message")
        assert (told["room_id"], told["user_id"], told["data"], told["sender"]) == (room, "ben", {"text": "hi"}, "client")
        assert ben.until("room_message")["message_id"] == told["message_id"]
        ben.send({"type": "room_message", "room_id": room, "data": {"text": "not to me"}, "exclude_self": True})
        assert ada.until("room_message")["data"] == {"text": "not to me"}
        ben.send({"type": "heartbeat"})
        ben.silent(["room_message"], lambda: "heartbeat")


def test_nobody_speaks_as_the_server_by_way_of_the_engines_own_wire(server):
    room = new()
    with enter(server, "ada") as ada, server.open("/v1/ws", token=access("eve")) as eve:
        create(ada, room)
        join(ada, room)
        eve.until("welcome")
        for event in ["operation_complete", "security_alert", "progress_update", "room_member_left"]:
            eve.send({"type": "publish", "id": 1, "room": room, "event": event, "data": {"forged": True}})
            told = ada.until("room_message")
            assert told["user_id"] == "eve" and told["sender"] == "client" and told["data"] == {"forged": True}


def test_a_backend_speaks_to_a_room_and_learns_how_many_that_were(server):
    room = new()
    with enter(server, "ada", client_id="techdeck_aaaaaaa6") as ada, enter(server, "ben") as ben:
        create(ada, room)
        join(ada, room)
        join(ben, room)
        event = {"type": "progress_update", "operation_id": "x", "operation_type": "x", "room_id": room}
        event["data"] = {"progress_percentage": 1, "status": "running", "current_step": "s"}
        assert server.event("pipeline", event)["done"][0]["members"] == 2
        for client in [ada, ben]:
            assert client.until("progress_update")["data"]["progress_percentage"] == 1
        message = {"type": "room_message", "room_id": room, "data": {"n": 2}, "exclude_client_id": "techdeck_aaaaaaa6"}
        server.event("pipeline", message)
        told = ben.until("room_message")
        assert (told["data"], told["room_id"], told["sender"]) == ({"n": 2}, room, "server")
        ada.send({"type": "heartbeat"})
        ada.silent(["room_message"], lambda: "heartbeat")
    empty = new()
    server.event("pipeline", {"type": "create_room", "room_id": empty})
    assert server.event("pipeline", {"type": "room_message", "room_id": empty, "data": {}})["done"][0]["members"] == 0


@pytest.mark.parametrize("cleanup", [True, False])
def test_an_empty_room_goes_where_that_is_set(cleanup):
    with Server(PROFILE, env={"AUTO_CLEANUP_EMPTY_ROOMS": str(cleanup).lower()}) as server, enter(server, "ada") as ada:
        room = new()
        create(ada, room)
        join(ada, room)
        ada.send({"type": "leave_room", "room_id": room})
        ada.until("room_left")
        if cleanup:
            eventually("the room is gone", lambda: server.http("GET", f"/v1/rooms/{room}")[0] == 404)
            assert refused(ada, {"type": "join_room", "room_id": room})["error_code"] == "SESSION_NOT_FOUND"
        else:
            assert join(ada, room)["member_count"] == 1


def test_a_closed_room_tells_its_members_and_is_not_there_any_more(server):
    room = new()
    with enter(server, "ada") as ada, enter(server, "ben") as ben:
        create(ada, room)
        join(ben, room)
        server.http("DELETE", f"/v1/rooms/{room}", {"reason": "over"}, status=200)
        assert ben.until("room_closed")["reason"] == "over"
        assert ben.until("room_left")["room_id"] == room
        assert refused(ben, {"type": "join_room", "room_id": room})["error_code"] == "SESSION_NOT_FOUND"
