"""Who is there with the scheduler: presence, heartbeats, sessions, what its backend sees of connections, and how stale ones end."""

import base64
import os
import socket

import pytest
from conftest import PATIENCE, Server, eventually, token
from surgery_play import PATH, PROFILE, SCHEDULE, enter, heard, post, settle

INVALID, HEARTBEAT_TIMEOUT, IDLE, RESTART = 4005, 4007, 4010, 1012


def get(server, path):
    return server.http("GET", f"/api/ws/{path}", status=200)


def of(user, action=None):
    """Whether a message tells of a user."""
    return lambda message: message["data"]["user_id"] == user and action in (None, message["data"]["action"])


def beat(client, page, date="2024-01-15"):
    client.send({"type": "heartbeat", "data": {"current_page": page, "active_schedule_date": date}})


# -------------------------------------------------------------------------------------------------------------- presence


def test_who_comes_moves_and_goes_is_told_in_the_documents_shape(server):
    with enter(server, "100") as watcher:
        john = enter(server, "101", "admin", username="john_doe")
        joined = watcher.until("user_presence", of(101, "join"))
        assert set(joined) == {"type", "timestamp", "data"}
        connection = joined["data"].pop("connection_id")
        assert joined["data"].pop("current_page", None) is None, "it has said nothing of a page yet"
        assert joined["data"] == {"user_id": 101, "action": "join", "username": "john_doe", "role": "admin"}
        beat(john, "/schedule")
        moved = watcher.until("user_presence", lambda message: of(101)(message) and "current_page" in message["data"])
        assert moved["data"] == {
            "user_id": 101,
            "action": "update",
            "username": "john_doe",
            "role": "admin",
            "current_page": "/schedule",
            "connection_id": connection,
        }
        john.close()
        left = watcher.until("user_presence", of(101, "leave"))["data"]
        assert (left["username"], left["role"]) == ("john_doe", "admin")


def test_who_comes_is_told_of_those_who_are_there(server):
    with enter(server, "102", username="cristina") as first:
        beat(first, "/rooms/4")
        settle(first)
        with enter(server, "103") as second:
            told = [message["data"] for message in second.before if message["type"] == "user_presence"]
            there = next(data for data in told if data["user_id"] == 102)
            assert (there["action"], there["username"], there["current_page"]) == ("join", "cristina", "/rooms/4")


def test_nobody_is_told_of_those_who_are_there_where_that_is_not_wanted():
    with Server(PROFILE, config="[profile.surgery]\nwho_is_here = false\n") as server:
        with enter(server, "1"), enter(server, "2") as second:
            assert not [message for message in second.before if of(1)(message)]


def test_a_heartbeat_moves_presence_and_is_not_answered(server):
    with enter(server, "104") as client:
        before = active(server, 104)
        beat(client, "/schedule/2024-01-16", "2024-01-16")
        assert {message["type"] for message in settle(client)} <= {"user_presence"}
        after = active(server, 104)
        assert (after["current_page"], after["active_schedule_date"]) == ("/schedule/2024-01-16", "2024-01-16")
        assert after["last_activity"] >= before["last_activity"] and after["since"] == before["since"]
        for odd in [{"type": "heartbeat"}, {"type": "heartbeat", "data": {"current_page": None, "active_schedule_date": None}}]:
            client.send(odd)
            assert {message["type"] for message in settle(client)} <= {"user_presence"}


def test_a_heartbeat_that_changes_nothing_is_told_to_nobody(server):
    with enter(server, "105") as client, enter(server, "106") as other:
        beat(client, "/a")
        other.until("user_presence", lambda message: message["data"].get("current_page") == "/a")
        for _ in range(5):
            beat(client, "/a")
        beat(client, "/b")
        told = other.until("user_presence", lambda message: of(105)(message))
        assert told["data"]["current_page"] == "/b"


def test_a_client_says_what_it_does_by_presence_as_well_but_not_who_it_is(server):
    with enter(server, "107", "nurse", username="izzie") as client, enter(server, "108") as other:
        forged = {"user_id": 1, "action": "update", "current_page": "/x", "username": "chief", "role": "admin"}
        client.send({"type": "user_presence", "data": forged})
        told = other.until("user_presence", lambda message: message["data"].get("current_page") == "/x")["data"]
        assert (told["user_id"], told["username"], told["role"]) == (107, "izzie", "nurse")
        client.send({"type": "user_presence", "data": {"user_id": 1, "action": "leave"}})
        assert client.until("error")["data"]["code"] == INVALID
        assert not [message for message in settle(other) if of(107)(message) or of(1)(message)]


@pytest.mark.parametrize("data", [{"current_page": 7}, {"active_schedule_date": []}, {"current_page": "x" * 257}])
def test_a_heartbeat_that_says_nonsense_is_an_error_and_the_connection_lives(server, data):
    with enter(server, "109") as client:
        client.send({"type": "heartbeat", "data": data})
        assert client.until("error")["data"]["code"] == INVALID
        settle(client)


def test_somebody_with_several_sessions_comes_once_and_goes_with_the_last(server):
    with enter(server, "110") as watcher:
        tabs = [enter(server, "111") for _ in range(3)]
        watcher.until("user_presence", of(111, "join"))
        rows = get(server, "connections/user/111")
        assert rows["total"] == 3 and len({row["connection_id"] for row in rows["connections"]}) == 3
        assert active(server, 111)["connections"] == 3
        post(server, SCHEDULE, target_users=[111])
        for tab in tabs:
            tab.until("schedule_update")
        for tab in tabs[:2]:
            tab.close()
        eventually("two have gone", lambda: get(server, "connections/user/111")["total"] == 1)
        assert not [kind for kind in settle(watcher) if kind["type"] == "user_presence" and of(111)(kind)]
        tabs[2].close()
        watcher.until("user_presence", of(111, "leave"))


# ------------------------------------------------------------------------------------------------- what a backend sees


def active(server, user):
    return next((row for row in get(server, "users/active")["users"] if row["user_id"] == user), None)


def test_connections_and_users_are_listed_with_what_they_do(server):
    with enter(server, "120", "surgeon", username="derek") as derek, enter(server, "121"):
        beat(derek, "/schedule")
        settle(derek)
        rows = get(server, "connections")
        assert rows["total"] == len(rows["connections"]) >= 2
        row = next(row for row in rows["connections"] if row["user_id"] == 120)
        assert (row["role"], row["state"]) == ("surgeon", "connected") and row["connection_id"]
        assert row["connected_at"].endswith("Z") and row["last_activity"].endswith("Z") and row["idle_seconds"] == 0
        own = get(server, "connections/user/120")
        assert (own["user_id"], own["total"]) == (120, 1)
        assert own["connections"][0]["connection_id"] == row["connection_id"]
        assert get(server, "connections/user/99999") == {"user_id": 99999, "total": 0, "connections": []}
        user = active(server, 120)
        assert (user["username"], user["role"], user["current_page"]) == ("derek", "surgeon", "/schedule")
        assert user["connection_ids"] == [row["connection_id"]]


def test_strange_user_ids_in_a_path_are_asked_for_as_they_are(server):
    strange = "auth0|7 ä?&#"
    with enter(server, strange):
        path = "connections/user/auth0%7C7%20%C3%A4%3F%26%23"
        assert get(server, path)["total"] == 1


def test_only_this_applications_connections_are_listed(server):
    with enter(server, "122"), server.open("/v1/ws", token=token("123")) as native:
        native.until("welcome")
        assert 123 not in {row["user_id"] for row in get(server, "connections")["connections"]}
        assert active(server, 123) is None


def test_statistics_count_connections_users_and_messages(server):
    with enter(server, "124") as one, enter(server, "124"), enter(server, "125"):
        before = get(server, "statistics")
        assert before["total_connections"] >= 3 and before["active_users"] <= before["total_connections"] - 1
        post(server, SCHEDULE)
        one.until("schedule_update")

        def counted():
            now = get(server, "statistics")
            grown = now["messages_published"] > before["messages_published"]
            return now if grown and now["messages_delivered"] >= before["messages_delivered"] + 3 else None

        after = eventually("it is counted", counted)
        assert after["connections_peak"] >= 3 and after["messages_received"] >= 3 and after["published_per_second"] >= 0
        assert after["uptime_seconds"] >= before["uptime_seconds"] and after["max_connections"] == 1000


def test_connections_and_throughput_are_there_for_monitoring(server):
    import urllib.request

    with enter(server, "126"):
        with urllib.request.urlopen(f"http://{server.address}/metrics", timeout=PATIENCE) as answer:
            text = answer.read().decode()
    for name in ["fanfare_connections", "fanfare_published_total", "fanfare_delivered_total", "fanfare_closes_total"]:
        assert f"\n{name}" in text, name


# ------------------------------------------------------------------------------------------------------ stale connections

QUICK = {"WEBSOCKET_HEARTBEAT_INTERVAL": "200ms", "WEBSOCKET_CONNECTION_TIMEOUT": "1"}


def test_who_sends_no_heartbeat_is_ended_and_who_does_stays():
    with Server(PROFILE, env=QUICK) as server, enter(server, "1") as alive, enter(server, "2") as silent:
        told, ended = [], None
        while ended is None or not [message for message in told if of(2, "leave")(message)]:
            beat(alive, "/")
            ended = ended or silent_end(silent)
            told += came(alive)
        assert ended == IDLE
        assert [row["user_id"] for row in get(server, "connections")["connections"]] == [1]
        assert get(server, "users/active")["total"] == 1
        answer = server.http("POST", "/api/ws/cleanup", {}, status=200)
        assert (answer["cleaned_up"], answer["ended_by_themselves"], answer["idle_seconds"]) == (0, 1, 1)


def came(client):
    """What comes within a tenth of a second."""
    found = []
    try:
        while True:
            found.append(client.receive(timeout=0.1))
    except TimeoutError:
        return found


def silent_end(client):
    """How the server has ended it, if it has."""
    from websockets.exceptions import ConnectionClosed

    try:
        while True:
            client.socket.recv(timeout=0)
    except TimeoutError:
        return None
    except ConnectionClosed as closed:
        return closed.rcvd.code


def test_a_peer_that_does_not_answer_is_pinged_in_the_interval_and_let_go():
    with Server(PROFILE, env=QUICK) as server:
        host, port = server.address.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as raw:
            key = base64.b64encode(os.urandom(16)).decode()
            raw.sendall(
                f"GET {PATH}?token={token('3')} HTTP/1.1\r\nhost: {server.address}\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
                f"sec-websocket-version: 13\r\nsec-websocket-key: {key}\r\n\r\n".encode()
            )
            read = b""
            while chunk := raw.recv(65_536):
                read += chunk
        assert b" 101 " in read and b"\x89\x00" in read, "a ping came"
        ended = server.http("GET", "/v1/connections/ended?user=3", status=200)["ended"]
        assert ended[0]["code"] in (IDLE, HEARTBEAT_TIMEOUT)
        assert get(server, "connections")["total"] == 0


def test_cleanup_ends_who_was_idle_for_as_long_as_the_caller_says(server):
    with enter(server, "130") as idle, enter(server, "131") as busy:
        answer = server.http("POST", "/api/ws/cleanup", status=200)
        assert (answer["cleaned_up"], answer["idle_seconds"]) == (0, 120)
        while not get(server, "connections/user/130")["connections"][0]["idle_seconds"]:
            beat(busy, "/")
            came(busy)
        answer = server.http("POST", "/api/ws/cleanup", {"idle_seconds": 1}, status=200)
        assert answer["cleaned_up"] >= 1
        assert idle.ended() == (RESTART, "no heartbeat for too long")
        settle(busy)
        assert server.http("POST", "/api/ws/cleanup", {"idle_seconds": None}, status=200)["cleaned_up"] == 0
        for wrong in ["long", 0, -1, 1.5]:
            refusal = server.http("POST", "/api/ws/cleanup", {"idle_seconds": wrong}, status=400)
            assert (refusal["code"], refusal["details"]["field"]) == (INVALID, "idle_seconds"), wrong


# -------------------------------------------------------------------------------------------------------------- scaling


def test_whatever_shard_a_connection_is_on_all_share_one_state():
    with Server(PROFILE, shards=4) as server:
        clients = [enter(server, str(user)) for user in range(1, 17)]
        shards = {row["shard"] for row in server.http("GET", "/v1/connections", status=200)["connections"]}
        assert len(shards) > 1, "no balancer has to keep anybody anywhere"
        assert {row["user_id"] for row in get(server, "users/active")["users"]} == set(range(1, 17))
        post(server, SCHEDULE, target_users=[16])
        for client in clients:
            expected = ["schedule_update"] if client is clients[-1] else []
            assert heard(client, server) == expected
            client.close()

