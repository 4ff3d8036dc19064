"""The scheduler's messages: their shapes, what is refused, whom they reach, what is kept, and its own client in Node."""

import json
import queue
import subprocess
import threading
import time
import tomllib

import pytest
from conftest import KEY, PATIENCE, ROOT, Server, eventually, token
from surgery_play import (
    CONFLICT,
    EMERGENCY,
    EVENTS,
    NOTIFICATION,
    OPTIMIZATION,
    PATH,
    PRESENCE,
    PROFILE,
    SCHEDULE,
    enter,
    heard,
    post,
    settle,
)

CONFIGURATION = """
[auth]
leeway = "0s"

[[role]]
name = "display"
not_receive = ["emergency_alert"]
"""
AUTHENTICATION, RATE, INVALID, LIMIT, EXPIRED, FORBIDDEN = 4001, 4004, 4005, 4009, 4012, 4013
CLIENT = ROOT / "engine/tests/acceptance/surgery_client.mjs"


def broadcast(server, event, status=200, **members):
    return server.http("POST", "/api/ws/broadcast", {**event, **members}, status=status)


# ------------------------------------------------------------------------------------------------------------ connecting


def test_a_token_opens_the_endpoint_and_nothing_greets(server):
    in_query = server.open(f"{PATH}?token={token('3')}")
    in_header = server.open(PATH, token=token("3"))
    in_message = server.open(PATH)
    in_message.send({"type": "auth", "token": token("3")})
    for client in [in_query, in_header, in_message]:
        with client:
            assert {message["type"] for message in settle(client)} <= {"user_presence"}


def test_without_a_good_token_there_is_an_error_and_the_end(server):
    for bad in ["nonsense", token("3", ttl=-60)]:
        client = server.open(f"{PATH}?token={bad}")
        error = client.until("error")
        assert set(error) == {"type", "timestamp", "data"} and error["data"]["code"] == AUTHENTICATION
        assert client.ended()[0] == AUTHENTICATION


def test_a_token_is_looked_at_as_long_as_the_connection_lives(server):
    with enter(server, "30", ttl=2) as client, enter(server, "31", ttl=2) as refreshed:
        refreshed.send({"type": "refresh_token", "data": {"token": token("31", "nurse", ttl=600)}})
        assert refreshed.until("token_refreshed")["data"] == {}
        assert client.ended()[0] == EXPIRED
        settle(refreshed)
        refreshed.send({"type": "refresh_token", "data": {"token": token("99")}})
        assert refreshed.until("error")["data"]["code"] == FORBIDDEN
    with enter(server, "32") as client:
        server.http("PUT", "/v1/admin/revocations/users/32", {}, status=200)
        assert client.ended()[0] == EXPIRED


# -------------------------------------------------------------------------------------------------------------- messages


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event["type"])
def test_events_arrive_in_the_documents_shape(server, event):
    with enter(server, "4") as client:
        post(server, event)
        message = client.until(event["type"])
        assert set(message) == {"timestamp", *event}
        assert {**message, "timestamp": 0} == {**event, "timestamp": 0}
        assert message["timestamp"].endswith("Z") and message["timestamp"][10] == "T"


def test_presence_that_a_backend_tells_of_arrives_as_it_is(server):
    with enter(server, "4") as client:
        post(server, PRESENCE)
        message = client.until("user_presence", lambda message: message["data"].get("username") == "john_doe")
        assert set(message) == {"type", "timestamp", "data"} and message["data"] == PRESENCE["data"]


REQUIRED = [
    (SCHEDULE, ["action", "surgery_id", "schedule_date"]),
    (OPTIMIZATION, ["optimization_id", "progress_percentage", "status"]),
    (CONFLICT, ["conflict_id", "conflict_type", "severity", "description"]),
    (EMERGENCY, ["emergency_id", "emergency_type", "priority", "description"]),
    (PRESENCE, ["user_id", "action"]),
    (NOTIFICATION, ["title"]),
]


@pytest.mark.parametrize("event, names", REQUIRED, ids=lambda value: value["type"] if isinstance(value, dict) else "")
def test_a_field_that_is_missing_is_named_and_nothing_goes_out(server, event, names):
    with enter(server, "5") as client:
        for name in names:
            data = {key: value for key, value in event["data"].items() if key != name}
            refusal = post(server, {**event, "data": data}, status=400)
            assert (refusal["code"], refusal["details"]["field"]) == (INVALID, f"data.{name}"), refusal
        assert event["type"] not in heard(client, server)


@pytest.mark.parametrize(
    "event, field, value",
    [
        (SCHEDULE, "surgery_id", "123"),
        (SCHEDULE, "surgery_id", 1.5),
        (SCHEDULE, "changes", []),
        (SCHEDULE, "affected_surgeries", {}),
        (OPTIMIZATION, "progress_percentage", "half"),
        (OPTIMIZATION, "current_iteration", 0.5),
        (CONFLICT, "suggested_actions", "Reschedule one surgery"),
        (EMERGENCY, "patient_name", 7),
        (NOTIFICATION, "require_ack", "yes"),
    ],
)
def test_a_field_of_the_wrong_type_is_named(server, event, field, value):
    refusal = post(server, {**event, "data": {**event["data"], field: value}}, status=400)
    assert (refusal["code"], refusal["details"]["field"]) == (INVALID, f"data.{field}")


def test_what_a_client_may_not_or_cannot_say_is_an_error_and_the_connection_lives(server):
    with enter(server, "5", "nurse") as nurse, enter(server, "6", "admin") as admin, enter(server, "7") as other:
        nurse.send(SCHEDULE)
        assert nurse.until("error")["data"]["code"] == FORBIDDEN
        admin.send({"type": "emergency_alert", "data": {"emergency_id": "e"}})
        error = admin.until("error")["data"]
        assert (error["code"], error["details"]["field"]) == (INVALID, "data.description")
        for nonsense in [{"type": "dance"}, {"data": {}}, {"type": "publish", "room": "surgery:all", "event": "x", "data": {}}]:
            admin.send(nonsense)
            assert admin.until("error")["data"]["code"] == INVALID
        settle(admin), settle(nurse)
        assert heard(other, server) == []


def test_who_sends_an_event_is_named_whatever_it_says(server):
    with enter(server, "8", "admin") as admin, enter(server, "9") as other:
        admin.send({**SCHEDULE, "user_id": 99})
        message = other.until("schedule_update")
        assert message["user_id"] == 8 and message["data"] == SCHEDULE["data"]
        assert admin.until("schedule_update")["user_id"] == 8, "an event is for everybody"


def test_only_a_key_names_somebody_else_as_who_caused_it(server):
    admin = token("1", "admin")
    with enter(server, "9") as other:
        refusal = server.http("POST", "/api/ws/broadcast", {**SCHEDULE, "user_id": 2}, token=admin, status=403)
        assert (refusal["code"], refusal["details"]["field"]) == (FORBIDDEN, "user_id")
        server.http("POST", "/api/ws/broadcast", {**SCHEDULE, "user_id": None}, token=admin, status=200)
        assert other.until("schedule_update")["user_id"] == 1
        broadcast(server, SCHEDULE, user_id=2)
        assert other.until("schedule_update")["user_id"] == 2


def test_an_id_that_is_no_number_stays_text(server):
    with enter(server, "9") as other:
        post(server, SCHEDULE, user_id="dr-grey")
        assert other.until("schedule_update")["user_id"] == "dr-grey"


# --------------------------------------------------------------------------------------------------------------- targets


def test_a_broadcast_is_for_one_for_several_for_roles_or_for_all(server):
    with enter(server, "10", "surgeon") as ten, enter(server, "11") as eleven, enter(server, "12", "anesthetist") as twelve:
        everybody = [ten, eleven, twelve]
        for targets, expected in [
            ({"target_user": 10}, [ten]),
            ({"target_users": [10, "12"]}, [ten, twelve]),
            ({"user_ids": [11]}, [eleven]),
            ({"target_roles": ["surgeon", "anesthetist"]}, [ten, twelve]),
            ({"target_users": [11], "target_roles": ["surgeon"]}, [ten, eleven]),
            ({}, everybody),
            ({"target_users": None, "target_roles": None, "target_user": None}, everybody),
            ({"target_roles": []}, []),
        ]:
            answer = broadcast(server, SCHEDULE, **targets)
            assert answer["type"] == "schedule_update"
            got = [client for client in everybody if heard(client, server) == ["schedule_update"]]
            assert got == expected, targets


@pytest.mark.parametrize("event", [*EVENTS, NOTIFICATION], ids=lambda event: event["type"])
def test_every_kind_of_event_can_be_for_users_and_for_roles(server, event):
    with enter(server, "13", "surgeon") as one, enter(server, "14") as other:
        for targets in [{"target_users": [13]}, {"target_roles": ["surgeon"]}]:
            broadcast(server, event, **targets)
            message = one.until(event["type"])
            assert event["data"].items() <= message["data"].items()
            assert message.get("user_id") == event.get("user_id")
        assert heard(other, server) == []


def test_a_broadcast_that_cannot_be_is_refused_and_reaches_nobody(server):
    with enter(server, "15") as client:
        for body in [
            {},
            {"type": "schedule_update"},
            {"type": "schedule_update", "data": {}},
            {**SCHEDULE, "target_users": []},
            {**SCHEDULE, "target_users": 7},
            {**SCHEDULE, "target_users": [{"id": 7}]},
            {**SCHEDULE, "target_roles": [7]},
            {**SCHEDULE, "user_id": {"id": 7}},
            {**SCHEDULE, "user_id": "x" * 200},
            {**SCHEDULE, "target_users": list(range(1, 300))},
            {"type": "welcome", "data": {}},
            {"type": "$presence", "data": {}},
            {**NOTIFICATION, "data": {**NOTIFICATION["data"], "target_users": [1]}},
            {**SCHEDULE, "data": {**SCHEDULE["data"], "schedule_date": "tomorrow"}},
            {**OPTIMIZATION, "data": {**OPTIMIZATION["data"], "progress_percentage": 150}},
            {**SCHEDULE, "user_id": True},
            {**SCHEDULE, "user_id": 1.5},
            {**SCHEDULE, "target_users": [True]},
            {**SCHEDULE, "target_users": [7], "user_ids": [8]},
            {"type": "joined", "data": {}},
        ]:
            refusal = server.http("POST", "/api/ws/broadcast", body, status=400)
            assert refusal["code"] == INVALID, body
        assert not {"schedule_update", "welcome", "$presence"} & set(heard(client, server))


@pytest.mark.parametrize("event", [*EVENTS, {"type": "theatre_cleaned", "data": {"room_id": 2}}], ids=lambda event: event["type"])
def test_a_target_that_is_not_understood_is_never_everybody(server, event):
    """Whom an alert is for stands in one place and under one name: what is written otherwise must not be overlooked."""
    others = {"target_role": "nurse", "roles": ["nurse"], "users": [7], "target_user_ids": [7], "target_user_id": 7, "recipients": [7]}
    with enter(server, "15") as client:
        for name, value in others.items():
            server.http("POST", "/api/ws/broadcast", {**event, name: value}, status=400)
            server.http("POST", "/api/ws/notify/system", {"title": "x", name: value}, status=400)
        for name, value in {**others, "target_user": 7, "user_ids": [7]}.items():
            refusal = server.event("surgery", {**event, name: value}, status=400)
            assert refusal["code"] == INVALID, name
        for name in ("target_users", "target_roles", "target_role", "user_ids"):
            body = {**event, "data": {**event["data"], name: [7]}}
            assert server.event("surgery", body, status=400)["details"]["field"] in ("data", "target_users"), name
            server.http("POST", "/api/ws/broadcast", body, status=400)
        assert event["type"] not in heard(client, server)


def test_an_event_of_another_name_goes_to_all_under_it(server):
    with enter(server, "15") as client:
        broadcast(server, {"type": "theatre_cleaned", "user_id": 4, "data": {"room_id": 2}})
        message = client.until("theatre_cleaned")
        assert (message["user_id"], message["data"]) == (4, {"room_id": 2})


def test_all_of_it_is_for_keys_and_admins_only(server):
    calls = [
        ("POST", "/api/ws/broadcast", SCHEDULE),
        ("GET", "/api/ws/connections", None),
        ("GET", "/api/ws/connections/user/1", None),
        ("GET", "/api/ws/users/active", None),
        ("GET", "/api/ws/statistics", None),
        ("POST", "/api/ws/cleanup", {}),
        ("POST", "/api/ws/notify/system", NOTIFICATION["data"]),
        ("POST", "/v1/profiles/surgery/events", SCHEDULE),
    ]
    for method, path, body in calls:
        assert server.http(method, path, body, key=None)[0] == 401, path
        assert server.http(method, path, body, token=token("5", "nurse"))[0] == 403, path
        assert server.http(method, path, body, token=token("1", "admin"))[0] == 200, path
        assert server.http(method, path, body, key=KEY)[0] == 200, path


# ------------------------------------------------------------------------------------------------- filters and limits


def test_a_role_gets_only_what_it_may(server):
    with enter(server, "16", "display") as display, enter(server, "17") as nurse:
        post(server, EMERGENCY)
        post(server, CONFLICT)
        assert [kind for kind in heard(display, server) if kind != "system_notification"] == ["conflict_notification"]
        assert [kind for kind in heard(nurse, server) if kind != "system_notification"] == ["emergency_alert", "conflict_notification"]
        display.send({"type": "message_history", "data": {}})
        kept = display.until("message_history")["data"]["messages"]
        assert "emergency_alert" not in [message["type"] for message in kept]


def test_a_role_that_may_not_come_in_is_told_and_ended():
    with Server(PROFILE, config='[profile.surgery]\nroles = ["nurse", "admin"]\n') as server:
        visitor = server.open(f"{PATH}?token={token('1', 'visitor')}")
        assert visitor.until("error")["data"]["code"] == FORBIDDEN
        assert visitor.ended()[0] == FORBIDDEN
        with enter(server, "2", "nurse") as nurse:
            post(server, EMERGENCY)
            nurse.until("emergency_alert")


def test_characters_that_forge_text_are_taken_out(server):
    with enter(server, "18") as client:
        for targets in [{}, {"target_users": [18]}]:
            data = {**CONFLICT["data"], "description": "room\u202e 4\u0007 is <b>double</b>\nbooked"}
            post(server, {**CONFLICT, "data": data}, **targets)
            assert client.until("conflict_notification")["data"]["description"] == "room 4 is <b>double</b>\nbooked"


def test_who_floods_is_told_to_wait_and_others_are_not_concerned():
    config = "[profile.surgery]\nmessages_per_minute = 6\nmessage_burst = 2\npublishers = [\"admin\", \"planner\"]\n"
    with Server(PROFILE, config=config) as server, enter(server, "1", "planner") as flooding, enter(server, "2", "admin") as calm:
        for _ in range(3):
            flooding.send(SCHEDULE)
        error = flooding.until("error")["data"]
        assert error["code"] == RATE and error["details"]["retry_after_ms"] > 0
        calm.send(SCHEDULE)
        calm.until("schedule_update", lambda message: message["user_id"] == 2)
        for _ in range(10):
            post(server, SCHEDULE)


def test_the_four_settings_have_the_documents_names_and_numbers():
    settings = tomllib.loads((ROOT / "engine/profile/profiles/surgery.toml").read_text())["setting"].values()
    numbers = {setting["env"]: str(setting["default"]).rstrip("s") for setting in settings if "env" in setting}
    assert numbers.items() >= {
        ("WEBSOCKET_HEARTBEAT_INTERVAL", "30"),
        ("WEBSOCKET_CONNECTION_TIMEOUT", "120"),
        ("WEBSOCKET_MAX_CONNECTIONS", "1000"),
        ("WEBSOCKET_MESSAGE_HISTORY_SIZE", "1000"),
    }


@pytest.mark.parametrize("name", ["WEBSOCKET_HEARTBEAT_INTERVAL", "WEBSOCKET_CONNECTION_TIMEOUT"])
@pytest.mark.parametrize("value", ["0", "1ms", "365d"])
def test_a_time_that_cannot_be_is_named_by_its_variable(name, value):
    with pytest.raises(AssertionError, match=f"{name}: must be"):
        Server(PROFILE, env={name: value})


def test_only_so_many_connections_are_there_at_a_time():
    with Server(PROFILE, env={"WEBSOCKET_MAX_CONNECTIONS": "2"}) as server:
        with enter(server, "1") as first, enter(server, "2"):
            assert server.http("GET", "/api/ws/statistics", status=200)["max_connections"] == 2
            third = server.open(f"{PATH}?token={token('3')}")
            assert third.until("error")["data"]["code"] == LIMIT
            assert third.ended()[0] == LIMIT
            first.close()
            eventually("a place is free", lambda: can_enter(server))


def can_enter(server):
    client = server.open(f"{PATH}?token={token('3')}")
    with client:
        client.send({"type": "message_history", "data": {}})
        while True:
            kind = client.receive()["type"]
            if kind in ("error", "message_history"):
                return kind == "message_history"


# ---------------------------------------------------------------------------------------------------- the client in Node


class Node:
    """The application's client in a process of its own."""

    def __init__(self, server, user, heartbeat_ms=30_000, **claims):
        command = ["node", "--experimental-websocket", "--no-warnings", str(CLIENT)]
        arguments = [server.address, token(user, "nurse", **claims), str(heartbeat_ms)]
        self.process = subprocess.Popen(command + arguments, stdout=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(json.loads(line))

    def until(self, what, accept=lambda line: True):
        deadline = time.monotonic() + PATIENCE
        while True:
            line = self.lines.get(timeout=max(deadline - time.monotonic(), 0.001))
            assert line["what"] != "overlooked", line
            if line["what"] == what and accept(line):
                return line

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def test_the_applications_own_client_understands_everything(server):
    with enter(server, "21") as other, Node(server, "20", heartbeat_ms=50, username="meredith") as node:
        node.until("connected")
        joined = other.until("user_presence", lambda message: message["data"]["user_id"] == 20)
        assert joined["data"]["username"] == "meredith"
        if "current_page" not in joined["data"]:
            joined = other.until("user_presence", lambda message: "current_page" in message["data"])
        assert joined["data"]["current_page"] == "/schedule/2024-01-15"
        assert node.until("presence", lambda line: line["data"]["user_id"] == 21)["line"] == "21 join"
        for event, what, line in [
            (SCHEDULE, "schedule", "surgery 123 in room 1: create"),
            (OPTIMIZATION, "optimization", "50% (running)"),
            (CONFLICT, "conflict", "critical: Room scheduling conflict detected"),
            (EMERGENCY, "emergency", "immediate: Emergency Surgery for John Doe"),
            (NOTIFICATION, "notification", "warning: Maintenance tonight"),
        ]:
            post(server, event)
            got = node.until(what)
            assert got["line"] == line and event["data"].items() <= got["data"].items()
        active = eventually("its date is known", lambda: date_of(server, 20))
        assert active == "2024-01-15"


def date_of(server, user):
    users = server.http("GET", "/api/ws/users/active", status=200)["users"]
    return next((row.get("active_schedule_date") for row in users if row["user_id"] == user), None)


def test_the_client_comes_back_counts_anew_and_gives_up_after_five_times():
    with Server(PROFILE) as server, Node(server, "22", heartbeat_ms=50) as node:
        assert node.until("connected")["attempts"] == 0
        for _ in range(7):
            eventually("it is there", lambda: server.http("GET", "/api/ws/connections/user/22", status=200)["total"])
            server.http("POST", "/v1/admin/disconnect", {"user_id": "22", "reconnect": True}, status=200)
            node.until("disconnected")
            assert node.until("connected")["attempts"] == 1, "an open connection sets the count back"
        server.process.kill()
        assert node.until("gave up")["attempts"] == 5
