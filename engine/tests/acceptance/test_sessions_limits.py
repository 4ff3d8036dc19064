"""Live sessions of a group: bounds, settings, and what operators see."""

import json
import subprocess
import urllib.request

import pytest
from conftest import BINARY, Server, eventually
from test_sessions import PROFILE, enter, place, refused, ticket
from test_sessions_events import quiet, start, tell
from websocket import ABNF, WebSocketConnectionClosedException, create_connection
from websockets.exceptions import ConnectionClosed


def test_ten_messages_come_at_once_and_more_are_told_to_slow_down(server):
    with enter(server, "rate-1", "ada") as ada:
        for _ in range(150):
            ada.send({"type": "heartbeat"})
        answers = [ada.receive() for _ in range(150)]
        taken = sum(of["type"] == "heartbeat_ack" for of in answers)
        assert 10 <= taken <= 12, "sixty a minute may have added one or two"
        told = [of for of in answers if of["type"] == "error"]
        assert {(of["code"], of["message"]) for of in told} == {(4004, "Too many messages. Please slow down.")}
        assert 0 < told[0]["details"]["retry_after_ms"] <= 1_000
        eventually("it is closed by none of this, and may go on", lambda: asked(ada))


def asked(client):
    client.send({"type": "heartbeat"})
    return client.receive()["type"] == "heartbeat_ack"


def test_messages_that_are_refused_count_as_well(server):
    with enter(server, "rate-2", "ada") as ada:
        for _ in range(12):
            ada.send({"type": "nonsense"})
        assert [ada.receive()["code"] for _ in range(12)][-1] == 4004


def test_a_session_takes_a_hundred_and_each_hears_everything_once(server):
    clients = [enter(server, "full-1", f"u{number}") for number in range(100)]
    try:
        with server.open(place("full-1", "late"), ticket("late", "full-1")) as late:
            text = "Session is full. Please try again later."
            assert refused(late) == (4003, text, (4003, text))
        tell(server, "full-1", "technique.changed", data={"title": "all"})
        for client in clients:
            client.until("technique_changed")
            quiet(client, "technique_changed")
        clients.pop().close()
        eventually("there is a place again", lambda: let_in(server))
        with enter(server, "full-2", "late"):
            pass
    finally:
        for client in clients:
            client.close()


def let_in(server):
    with server.open(place("full-1", "late"), ticket("late", "full-1")) as client:
        return client.receive()["type"] == "welcome"


def test_all_sessions_together_take_so_many():
    with Server(PROFILE, env={"WEBSOCKET_MAX_CONNECTIONS": "2"}) as server:
        with enter(server, "a", "ada"), enter(server, "b", "ben"):
            with server.open(place("c", "cyd"), ticket("cyd", "c")) as cyd:
                text = "Connection failed. Please try again."
                assert refused(cyd) == (4000, text, (4000, text))


def test_one_user_has_so_many_of_them(server):
    clients = [server.open(place("mine-9", f"tab-{tab}"), ticket("tabs", "mine-9")) for tab in range(5)]
    assert {client.receive()["type"] for client in clients} == {"welcome"}
    with server.open(place("mine-9", "tab-5"), ticket("tabs", "mine-9")) as sixth:
        assert refused(sixth)[2][0] == 4000
    for client in clients:
        client.close()


def test_a_message_has_at_most_64_kib(server):
    def message(size):
        empty = json.dumps({"type": "heartbeat", "x": ""})
        return json.dumps({"type": "heartbeat", "x": "x" * (size - len(empty))})

    with enter(server, "size-1", "ada") as ada:
        ada.socket.send(message(65_536))
        ada.until("heartbeat_ack")
        ada.socket.send(message(65_537))
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                ada.receive()
        assert closed.value.rcvd.code == 1009


def test_who_does_not_answer_a_ping_is_let_go():
    settings = '[profile.sessions]\nping_interval = "300ms"\nping_timeout = "300ms"\n'
    with Server(PROFILE, config=settings) as server:
        ws = create_connection(server.url(place("ping-1", "ada")) + f"&token={ticket('ada', 'ping-1')}", timeout=15)
        seen = []
        with pytest.raises(WebSocketConnectionClosedException):
            while True:
                seen.append(ws.recv_frame())
                if seen[-1].opcode == ABNF.OPCODE_CLOSE:
                    break
            raise WebSocketConnectionClosedException
        assert ABNF.OPCODE_PING in [frame.opcode for frame in seen]
        assert int.from_bytes(seen[-1].data[:2], "big") == 4007
        rows = server.http("GET", "/v1/connections/ended?user=ada", status=200)["ended"]
        assert rows[0]["code"] == 4007 and rows[0]["duration_ms"] < 5_000


def sizes(level, title):
    """How large what a client gets is on the wire, of messages that are compressed and of all."""
    with Server(PROFILE, env={"WEBSOCKET_COMPRESSION_LEVEL": level}) as server:
        with enter(server, "wire-1", "ada") as ada:
            seen, deflate = [], ada.socket.protocol.extensions[0]
            decode = deflate.decode
            deflate.decode = lambda frame, **more: (seen.append((frame.rsv1, len(frame.data))), decode(frame, **more))[1]
            tell(server, "wire-1", "technique.changed", data={"title": title})
            assert ada.until("technique_changed")["content"]["title"] == title
            return seen[-1]


def test_large_messages_are_compressed_at_the_level_that_is_set():
    large = "".join(f"{number * number % 9973} breathe in, " for number in range(800))
    (is_one, one), (is_nine, nine) = sizes("1", large), sizes("9", large)
    assert is_one and is_nine and nine < one < len(large) / 2
    with Server(PROFILE, env={"WEBSOCKET_ENABLE_COMPRESSION": "false"}) as server:
        with enter(server, "wire-2", "ada") as ada:
            assert not ada.socket.protocol.extensions


def test_health_is_for_everybody_and_tells_true_figures(server):
    with enter(server, "health-1", "ada"), enter(server, "health-1", "ben"), enter(server, "health-2", "cyd"):
        def counted():
            health = server.http("GET", "/ws/health", key=None, status=200)
            service = health["websocket_service"]
            return (service["active_sessions"], service["total_connections"]) == (2, 3) and health

        tell(server, "health-1", "technique.changed", data={"title": "x"})
        health = eventually("two sessions with three connections", counted)
        assert health["status"] == "healthy" and health["timestamp"].endswith("Z")
        assert health["websocket_service"]["uptime_seconds"] > 0
        assert health["websocket_service"]["message_queue_size"] >= 0
        performance = health["performance"]
        assert 0 < performance["avg_message_latency_ms"] < 1_000
        eventually("messages were sent", lambda: server.http("GET", "/ws/health")[1]["performance"]["messages_per_second"])


def test_metrics_tell_each_session_and_the_whole():
    with Server(PROFILE) as server:
        assert server.http("GET", "/ws/metrics", status=200)["sessions"] == []
        with enter(server, "count-1", "ada") as ada, enter(server, "count-1", "ben"):
            start(server, "count-1")
            for title in "abc":
                tell(server, "count-1", "technique.changed", data={"title": title})
                ada.until("technique_changed")
            ada.send({"type": "heartbeat"})
            ada.until("heartbeat_ack")

            def counted():
                metrics = server.http("GET", "/ws/metrics", status=200)
                return metrics["global_stats"]["total_messages_sent"] >= 8 and metrics

            metrics = eventually("four messages to two", counted)
            [session] = metrics["sessions"]
            assert (session["session_id"], session["participants"]["participant_count"]) == ("count-1", 2)
            assert session["message_count"] == 4 and session["started_at"].endswith("Z")
            of_all = metrics["global_stats"]
            assert of_all["total_messages_received"] >= 1
            assert (of_all["total_connections_made"], of_all["peak_concurrent_connections"]) == (2, 2)
            row = server.http("GET", "/v1/connections/ada", status=200)
            assert (row["user_id"], row["state"]) == ("ada", "connected") and row["commands"] >= 1
            assert row["connected_at"] <= row["last_activity"]
        eventually("it is told of no more", lambda: not server.http("GET", "/ws/metrics", status=200)["sessions"])


def test_the_inspector_counts_a_session_and_exports_the_latest(server):
    def room():
        return server.http("GET", "/v1/inspector/rooms/session:look-1", status=200)

    with enter(server, "look-1", "lea") as lea, enter(server, "look-1", "ben"):
        for _ in range(6):
            events = [{"type": "technique.changed", "session_id": "look-1", "data": {"title": "x"}}] * 100
            server.event("sessions", events)
        counts = eventually("six hundred to two", lambda: room()["messages_outgoing"] >= 1_200 and room())
        assert counts["messages_incoming"] >= 600
        assert counts["messages_total"] == counts["messages_incoming"] + counts["messages_outgoing"]
        assert counts["unique_users"] == 2 and counts["connection_events"] >= 2
        told = server.http("GET", "/ws/inspector/look-1", status=200)
        assert (told["session_id"], told["unique_clients"]) == ("look-1", 2) and told["total_messages"] >= 1_800
        assert server.http("GET", "/ws/inspector/look-1", key=None)[0] == 401
        for _ in range(130):
            lea.send({"type": "nonsense"})
        found = eventually("errors", lambda: server.http("GET", "/v1/inspector/errors?user=lea")[1]["records"])
        assert {of["code"] for of in found} <= {4004, 4005} and found[0]["client_id"] == "lea"
    held = eventually("all of it is seen", lambda: export(server))
    assert len(held["messages"]) == 500 and 4 <= len(held["events"]) <= 500
    assert held["summary"]["messages"]["seen"] >= 600
    assert {of["type"] for of in held["events"]} >= {"connect", "join", "close"}
    assert any(of["room"] == "session:look-1" for of in held["rooms"])


def export(server):
    held = server.http("GET", "/v1/inspector/export", status=200)
    return len(held["errors"]) == 100 and held


def test_a_page_of_a_listed_origin_may_ask_over_http(server):
    def ask(method, path, **headers):
        request = urllib.request.Request(f"http://{server.address}{path}", method=method, headers=headers)
        with urllib.request.urlopen(request) as response:
            return response.status, {name.lower(): value for name, value in response.headers.items()}

    for origin in ("http://localhost:3000", "https://breathscape.halcytone.com"):
        status, headers = ask("GET", "/ws/health", Origin=origin)
        assert (status, headers["access-control-allow-origin"]) == (200, origin)
        assert headers["access-control-allow-credentials"] == "true" and "origin" in headers["vary"].lower()
        asks = {"Origin": origin, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
        status, headers = ask("OPTIONS", "/ws/metrics", **asks)
        assert status in (200, 204) and headers["access-control-allow-origin"] == origin
        assert "GET" in headers["access-control-allow-methods"] and "POST" in headers["access-control-allow-methods"]
        allowed = headers["access-control-allow-headers"].lower()
        assert "authorization" in allowed or allowed == "*"
        asks["Access-Control-Request-Method"] = "POST"
        status, headers = ask("OPTIONS", "/v1/profiles/sessions/events", **asks)
        assert status == 204 and headers["access-control-allow-origin"] == origin
    _, headers = ask("GET", "/ws/health", Origin="https://evil.example")
    assert "access-control-allow-origin" not in headers


def test_while_the_server_takes_nothing_clients_are_told_so(server):
    with enter(server, "mode-1", "ada") as ada:
        try:
            server.http("PUT", "/v1/admin/mode", {"read_only": True}, status=200)
            ada.send({"type": "technique_feedback", "data": {"technique": "Box Breathing", "rating": 5}})
            error = ada.until("error")
            assert (error["code"], error["message"]) == (4006, "Server error. Our team has been notified.")
        finally:
            server.http("PUT", "/v1/admin/mode", {"read_only": False}, status=200)
        quiet(ada, "feedback_received")


def check(**env):
    command = [BINARY, "check", "--profile", PROFILE]
    return subprocess.run(command, env={"PATH": "/usr/bin:/bin", **env}, capture_output=True, text=True, check=False)


def test_the_table_and_all_its_variables_are_good():
    good = {
        "WEBSOCKET_MAX_CONNECTIONS_PER_SESSION": "5",
        "WEBSOCKET_MAX_CONNECTIONS": "50",
        "WEBSOCKET_MAX_MESSAGE_SIZE": "4096",
        "WEBSOCKET_PING_INTERVAL": "15",
        "WEBSOCKET_PING_TIMEOUT": "5",
        "WEBSOCKET_MAX_QUEUE_SIZE": "10",
        "WEBSOCKET_QUEUE_TTL": "60",
        "WEBSOCKET_ALLOW_RECONNECTION": "true",
        "WEBSOCKET_RECONNECTION_WINDOW": "30",
        "WEBSOCKET_ENABLE_COMPRESSION": "true",
        "WEBSOCKET_COMPRESSION_LEVEL": "9",
        "WEBSOCKET_REQUIRE_AUTHENTICATION": "true",
        "WEBSOCKET_ALLOWED_ORIGINS": "https://a.example,https://b.example",
    }
    for env in ({}, good):
        done = check(**env)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "value", "setting"),
    [
        ("WEBSOCKET_COMPRESSION_LEVEL", "12", "WEBSOCKET_COMPRESSION_LEVEL: must be a whole number, 1 to 9"),
        ("WEBSOCKET_MAX_QUEUE_SIZE", "many", "WEBSOCKET_MAX_QUEUE_SIZE"),
        ("WEBSOCKET_QUEUE_TTL", "0", "WEBSOCKET_QUEUE_TTL"),
        ("WEBSOCKET_QUEUE_TTL", "-1", "WEBSOCKET_QUEUE_TTL"),
        ("WEBSOCKET_PING_INTERVAL", "-5", "WEBSOCKET_PING_INTERVAL"),
        ("WEBSOCKET_PING_INTERVAL", "0", "WEBSOCKET_PING_INTERVAL"),
        ("WEBSOCKET_MAX_MESSAGE_SIZE", "0", "WEBSOCKET_MAX_MESSAGE_SIZE"),
        ("WEBSOCKET_SYNC_THRESHOLD", "7", "WEBSOCKET_SYNC_THRESHOLD"),
        ("WEBSOCKET_BURST_SIZE", "0", "WEBSOCKET_BURST_SIZE"),
        ("WEBSOCKET_MAX_CONNECTIONS_PER_SESSION", "0", "WEBSOCKET_MAX_CONNECTIONS_PER_SESSION"),
        ("WEBSOCKET_REQUIRE_AUTHENTICATION", "perhaps", "WEBSOCKET_REQUIRE_AUTHENTICATION"),
        ("WEBSOCKET_ALLOWED_ORIGINS", "*", "allowed_origins"),
    ],
)
def test_a_variable_that_cannot_be_is_named(name, value, setting):
    done = check(**{name: value})
    assert done.returncode != 0
    assert setting in done.stdout + done.stderr


def test_settings_come_from_the_applications_own_variables():
    env = {"WEBSOCKET_MAX_CONNECTIONS_PER_SESSION": "1", "WEBSOCKET_BURST_SIZE": "2", "WEBSOCKET_SYNC_THRESHOLD": "0.5"}
    with Server(PROFILE, env={**env, "WEBSOCKET_SYNC_MINIMUM_USERS": "1"}) as server:
        start(server, "set-1")
        with enter(server, "set-1", "ada") as ada:
            with server.open(place("set-1", "ben"), ticket("ben", "set-1")) as ben:
                assert refused(ben)[0] == 4003
            ada.send({"type": "breathing_sync", "data": {"score": 0.6}})
            assert ada.until("group_sync_achieved")["content"]["score"] == 0.6
            for _ in range(3):
                ada.send({"type": "heartbeat"})
            assert ada.until("error")["code"] == 4004
