"""A health application's connections: the four endpoints, who may, how many, their life, and what a backend sees and does."""

import time

import jwt
import pytest
from conftest import KEY, ROOT, SECRET, Server, eventually, token
from health_client import HealthClient

PROFILE = str(ROOT / "engine/profile/profiles/health.toml")
CONFIGURATION = """
[timeouts]
auth = "1s"
"""
ENDPOINTS = ["/ws/health", "/ws/chat", "/ws/notifications", "/ws/combined"]
FORBIDDEN, INVALID, LIMIT = 4013, 4005, 4009


def status(server):
    return server.http("GET", "/ws/status", status=200)


def health_of(server, connection):
    return server.http("GET", f"/ws/connection/{connection}/health", status=200)


@pytest.mark.parametrize("path", ENDPOINTS)
def test_a_token_opens_each_endpoint_from_the_header_the_query_a_cookie_or_the_first_message(server, path):
    ada = token("ada")
    first = server.open(path)
    first.send({"type": "auth", "token": ada})
    for client in [
        first,
        server.open(path, token=ada),
        server.open(f"{path}?token={ada}"),
        server.open(path, headers={"Cookie": f"theme=dark; access_token={ada}"}),
    ]:
        with client:
            greeting = client.until("connection_state")["data"]
            assert (greeting["state"], greeting["user_id"], greeting["role"]) == ("AUTHENTICATED", "ada", "user")
            assert greeting["heartbeat_interval_ms"] == 30_000 and greeting["max_message_size"] == 65_536
            assert greeting["connection_id"] and greeting["resume_token"] and greeting["resumed"] is False


@pytest.mark.parametrize("path", ENDPOINTS)
def test_without_a_good_token_nobody_comes_in(server, path):
    forged = jwt.encode({"sub": "ada", "exp": int(time.time()) + 60}, "x" * 32, "HS256")
    unsigned = jwt.encode({"sub": "ada", "exp": int(time.time()) + 60}, None, "none")
    nobody = jwt.encode({"exp": int(time.time()) + 60}, SECRET, "HS256")
    for bad in [forged, unsigned, nobody, token("ada", ttl=-60), "no.token.at.all"]:
        client = server.open(f"{path}?token={bad}")
        assert client.until("error")["code"] == 4001
        assert client.ended()[0] == 4001
    with server.open(path) as late:
        late.send({"type": "heartbeat"})
        assert late.ended()[0] == 4001


def test_each_endpoint_takes_what_it_is_for_and_combined_takes_all(server):
    server.event("health", {"type": "person_registered", "data": {"user_id": "eve"}})
    asks = {
        "/ws/health": ("health_sync", "health_snapshot"),
        "/ws/chat": ("conversation_create", "conversation_created"),
        "/ws/notifications": ("notification_list", "notification_list"),
    }
    for path in ENDPOINTS:
        with HealthClient.at(server, path, token("eve")) as client:
            for home, (kind, answer) in asks.items():
                if path in (home, "/ws/combined"):
                    client.ask(kind, answer)
                else:
                    assert client.refused(kind)["code"] == INVALID, (path, kind)


def test_what_cannot_be_understood_is_told_by_its_field_and_the_connection_lives(server):
    server.event("health", {"type": "person_registered", "data": {"user_id": "mia"}})
    with HealthClient.at(server, "/ws/combined", token("mia")) as client:
        for kind, data, field in [
            ("health_data", {}, "metrics"),
            ("health_data", {"metrics": "fast"}, "metrics"),
            ("subscribe", {}, None),
            ("subscribe", {"topic": "staff:1"}, None),
            ("chat_message", {"conversation_id": "1"}, "text"),
            ("chat_message", {"conversation_id": "1", "text": 7}, "text"),
            ("typing_indicator", {"conversation_id": "1", "typing": "yes"}, "typing"),
            ("notification_ack", {}, "notification_id"),
            ("person_registered", {"user_id": "mia"}, None),
            ("room.create", {}, None),
            ("publish", {"event": "health_alert"}, None),
            ("no_such_message", {}, None),
        ]:
            error = client.refused(kind, **data)
            assert error["code"] == INVALID, (kind, error)
            assert field is None or field in error["details"]["field"], (kind, error)
        for text in ["{", "[1]", '"health_data"', '{"data":{}}', '{"type":7}']:
            client.socket.socket.send(text)
            assert client.until("error")["code"] == INVALID
        assert client.ask("heartbeat", "heartbeat_ack")["server_time"]


@pytest.mark.parametrize("path", ENDPOINTS)
def test_users_of_any_identity_provider_may_come(server, path):
    for user in ("auth0|507f1f77", "jörg", "a/b c", "+49 30 1234"):
        with HealthClient.at(server, path, token(user)) as client:
            assert client.ask("heartbeat", "heartbeat_ack") and client.greeting["user_id"] == user


def test_a_user_has_five_connections_over_all_endpoints_and_everybody_else_is_not_touched(server):
    clients = [HealthClient.at(server, path, token("tom")) for path in ENDPOINTS + ["/ws/chat"]]
    more = server.open("/ws/notifications", token=token("tom"))
    assert more.until("error")["code"] == LIMIT
    assert more.ended()[0] == LIMIT
    HealthClient.at(server, "/ws/chat", token("tim")).close()
    clients.pop().close()

    def again():
        client = server.open("/ws/health", token=token("tom"))
        let_in = client.receive()["type"] == "connection_state"
        client.close()
        return let_in

    eventually("one that left makes room for another", again)
    for client in clients:
        client.close()


def test_so_many_connections_in_all_and_no_more():
    with Server(PROFILE, config="[profile.health]\nmax_connections = 3\n") as server:
        assert (status(server)["connections"]["max"], status(server)["connections"]["max_per_user"]) == (3, 5)
        clients = [HealthClient.at(server, path, token(f"user-{number}")) for number, path in enumerate(ENDPOINTS[:3])]
        more = server.open("/ws/combined", token=token("late"))
        assert more.ended()[0] == LIMIT
        for client in clients:
            client.close()
    with Server(PROFILE, env={"HEALTH_WS_MAX_CONNECTIONS": "7"}) as server:
        assert status(server)["connections"]["max"] == 7
    with Server(PROFILE) as server:
        assert (status(server)["connections"]["max"], status(server)["connections"]["max_per_user"]) == (1000, 5)


def test_a_connection_is_shown_in_each_state_of_its_life():
    with Server(PROFILE) as server:
        waiting = server.open("/ws/chat")
        eventually("one without a token", lambda: status(server)["connections"]["by_state"]["CONNECTED"] == 1)
        waiting.send({"type": "auth", "token": token("ada")})
        connection = waiting.until("connection_state")["data"]["connection_id"]
        eventually("it is known", lambda: status(server)["connections"]["by_state"]["AUTHENTICATED"] == 1)
        assert health_of(server, connection)["state"] == "AUTHENTICATED"
        waiting.close()
        ended = eventually("it left in order", lambda: (found := health_of(server, connection))["state"] == "DISCONNECTED" and found)
        assert (ended["close_code"], ended["recoverable"], ended["healthy"]) == (1000, False, False)
        for user in ("ben", "ada"):
            lost = HealthClient.at(server, "/ws/chat", token(user))
            connection = lost.greeting["connection_id"]
            # Without a close frame: the network was lost.
            lost.socket.socket.socket.shutdown(2)
        ended = eventually("it was lost", lambda: (found := health_of(server, connection))["state"] == "ERROR" and found)
        assert (ended["close_code"], ended["recoverable"]) == (1006, True)
        counted = lambda states: (states["DISCONNECTED"], states["ERROR"], states["AUTHENTICATED"]) == (1, 2, 0)
        eventually("all of them are counted", lambda: counted(status(server)["connections"]["by_state"]))


def test_heartbeats_pings_and_idleness_take_the_time_that_is_set():
    config = '[profile.health]\nheartbeat_interval = "200ms"\nidle_timeout = "2s"\n[heartbeat]\ngrace = "1s"\n'
    with Server(PROFILE, config=config) as server:
        quiet = HealthClient.at(server, "/ws/combined", token("ada"))
        assert quiet.greeting["heartbeat_interval_ms"] == 200
        silent = server.open("/ws/combined?health=1", token=token("ben"), ping_interval=None)
        with server.open("/ws/combined?health=1", token=token("ada")) as measured:
            connection = measured.until("connection_state")["data"]["connection_id"]
            for number in (1, 2):
                ping = measured.until("heartbeat_ping")
                assert ping["sequence_number"] == number
                measured.send({"type": "heartbeat_pong", "sequence_number": number})
                told = measured.until("connection_health")
                assert told["rtt_ms"] < 1_000 and told["quality"] in ("excellent", "good", "fair")
            measured.send({"type": "heartbeat"})
            assert measured.until("heartbeat_ack")["data"]["server_time"]
            shown = health_of(server, connection)
            assert shown["measured"] and shown["rtt_ms"]["last"] is not None and shown["quality"] != "unknown"
        assert silent.until("connection_timeout")["reason"]
        assert silent.ended()[0] == 4007
        # Its library answers pings, which keeps it alive and is no use of the connection.
        assert quiet.socket.ended()[0] == 4010


def test_a_backend_looks_at_a_connection_and_ends_it(server):
    with HealthClient.at(server, "/ws/chat", token("zoe")) as client:
        connection = client.greeting["connection_id"]
        client.ask("heartbeat", "heartbeat_ack")
        shown = server.http("GET", f"/ws/connection/{connection}", status=200)
        assert (shown["connection_id"], shown["user_id"], shown["state"]) == (connection, "zoe", "AUTHENTICATED")
        assert shown["connected_at"] and shown["messages_received"] >= 1 and shown["idle_seconds"] < 30
        healthy = health_of(server, connection)
        assert healthy["healthy"] and not healthy["recoverable"] and healthy["quality"] == "unknown"
        answer = server.http("DELETE", f"/ws/connection/{connection}", status=200)
        assert answer == {"connection_id": connection, "disconnected": 1}
        assert client.socket.ended()[0] == 4011
    eventually("it is gone", lambda: server.http("GET", f"/ws/connection/{connection}")[0] == 404)
    ended = eventually("its end is remembered", lambda: health_of(server, connection).get("close_code"))
    assert ended == 4011
    for method, path in [("GET", "/ws/connection/nobody"), ("GET", "/ws/connection/nobody/health"), ("DELETE", "/ws/connection/nobody")]:
        assert server.http(method, path)[0] == 404, path


def test_the_status_counts_what_passes():
    with Server(PROFILE) as server, HealthClient.at(server, "/ws/chat", token("una")) as una, HealthClient.at(server, "/ws/chat", token("udo")):
        assert status(server)["status"] == "ok"
        una.ask("conversation_create", "conversation_created", conversation_id="counted")
        una.ask("chat_message", "chat_message_sent", conversation_id="counted", text="one")
        una.until("chat_message")
        counted = lambda found: found["messages"]["published"] == 1 and found["messages"]["delivered"] > 0 and found
        shown = eventually("it is counted", lambda: counted(status(server)))
        assert (shown["connections"]["active"], shown["connections"]["users"]) == (2, 2)
        assert shown["latency_ms"]["p99"] > 0 and shown["memory_bytes"] > 0 and shown["uptime_seconds"] > 0
        with server.open("/v1/ws", token=token("other")) as other:
            other.until("welcome")
            shown = status(server)
            assert (shown["connections"]["active"], shown["server"]["connections"]) == (2, 3), "of this application only"


def test_an_id_in_a_path_is_one_id_whatever_is_in_it(server):
    with HealthClient.at(server, "/ws/health", token("vic")) as client:
        connection = client.greeting["connection_id"]
        for path in [f"/ws/connection/{connection}%3Fx", f"/ws/connection/{connection}%2F..%2F{connection}"]:
            assert server.http("DELETE", path)[0] == 404, path
        client.ask("heartbeat", "heartbeat_ack")


def test_management_is_for_backends_and_operators_only(server):
    with HealthClient.at(server, "/ws/chat", token("kim")) as client:
        connection = client.greeting["connection_id"]
        requests = [
            ("GET", "/ws/status"),
            ("GET", f"/ws/connection/{connection}"),
            ("GET", f"/ws/connection/{connection}/health"),
            ("DELETE", f"/ws/connection/{connection}"),
            ("POST", "/ws/user/kim/reconnect"),
            ("POST", "/v1/profiles/health/events"),
        ]
        for method, path in requests:
            body = {"type": "notification", "data": {"type": "x", "title": "x", "user_id": "kim"}} if "events" in path else None
            assert server.http(method, path, body, key=None)[0] == 401, path
            assert server.http(method, path, body, key="fk_wrong")[0] == 401, path
            assert server.http(method, path, body, token=token("kim"))[0] == 403, path
        client.ask("heartbeat", "heartbeat_ack")
        for method, path in requests[:3]:
            assert server.http(method, path, token=token("root", "admin"))[0] == 200, path
            assert server.http(method, path, key=KEY)[0] == 200, path


def test_a_plain_get_of_a_websockets_path_is_not_answered_as_one(server):
    for path in ENDPOINTS:
        code, answer = server.http("GET", path)
        assert code in (404, 426), (path, answer)
    for method in ("POST", "PUT"):
        assert server.http(method, "/ws/status", {})[0] == 405


def test_beside_another_profile_the_upgrade_tells_a_stream_from_a_health_check():
    with Server(PROFILE, PROFILE.replace("health.toml", "sessions.toml")) as server:
        assert server.http("GET", "/ws/health", status=200)["websocket_service"]["total_connections"] == 0
        server.event("health", {"type": "person_registered", "data": {"user_id": "ada"}})
        with HealthClient.at(server, "/ws/health", token("ada")) as client:
            assert client.until("health_snapshot")["data"]["user_id"] == "ada"
            assert "websocket_service" in server.http("GET", "/ws/health", status=200)
