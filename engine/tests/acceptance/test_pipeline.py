"""The pipeline's connections: who gets in, how they are greeted, pinged and ended, and what operators see of them."""

import asyncio
import json
import re
import socket
import tempfile
import time
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest
from conftest import Server, eventually
from pipeline_client import PATH, PROFILE, PipelineClient, access, address, enter
from websockets.exceptions import InvalidStatus

CLIENT_ID = re.compile("techdeck_[0-9a-f]{8}")
FAST = {"HEARTBEAT_INTERVAL_MS": "300", "HEARTBEAT_TIMEOUT_MS": "200"}


def ended(server, path):
    """Who is refused is told why, and closed: the error, code and reason."""
    with server.open(path) as client:
        error = client.receive()
        return error, client.ended()


def drop(client):
    """Its connection is lost, without a word."""
    client.socket.socket.shutdown(socket.SHUT_RDWR)


def pong(client, ping):
    client.send({"type": "heartbeat_pong", "sequence_number": ping["sequence_number"], "client_id": client.greeting["client_id"]})


def test_the_documents_client_connects_is_greeted_first_and_answers_pings(server):
    async def play():
        client = PipelineClient(server.url(PATH))
        assert client.connection_state == "disconnected"
        with pytest.raises(ValueError):
            await client.connect("")
        assert await client.connect(access("ada"), {"client_type": "web", "client_version": "1.2.3", "user_agent": "Mozilla/5.0 (X11)"})
        assert client.connection_state == "connected" and CLIENT_ID.fullmatch(client.client_id)
        told = client.acknowledged
        assert told["client_id"] == client.client_id and told["protocol_version"] == "1.0"
        assert (told["heartbeat_interval"], told["max_message_size"]) == (30_000, 65_536)
        datetime.fromisoformat(told["server_time"])
        await client.until("its health", lambda: client.health)
        health = client.health[0]
        assert health["connection_quality"] == "excellent" and 0 <= health["rtt_ms"] < 100
        datetime.fromisoformat(health["timestamp"])
        await client.close()

    asyncio.run(play())


def test_the_documents_client_is_told_that_it_was_refused(server):
    async def play():
        client = PipelineClient(server.url(PATH))
        assert not await client.connect("no.good.token")
        assert client.connection_state == "disconnected"

    asyncio.run(play())


@pytest.mark.parametrize(
    "bad",
    [
        {"type": "refresh"},
        {"type": None},
        {"ttl": -60},
        {"user_id": None},
        {"user_id": None, "sub": "ada"},
        {"user_id": [7]},
        {"sub": "ben"},
    ],
    ids=["another type of token", "no type", "expired", "nobody's", "no user_id", "neither text nor number", "two users"],
)
def test_bad_tokens_are_closed_with_1008_authentication_failed(server, bad):
    error, how = ended(server, address(access("ada", **bad)))
    assert how == (1008, "Authentication failed")
    assert error["type"] == "connection_error" and error["metadata"]["error_category"] == "authentication"


def test_a_user_may_be_a_number(server):
    for more in [{}, {"sub": "7"}]:
        with server.open(address(access("ada", user_id=7, **more), "techdeck_77777777")) as client:
            client.until("connection_ack")
            assert server.http("GET", "/pipeline/connections/techdeck_77777777", status=200)["user_id"] == "7"


def test_a_token_of_two_users_is_told_what_is_wrong_with_it(server):
    error, _ = ended(server, address(access("ada", sub="ben")))
    assert "`sub` is another user than its `user_id`" in error["data"]["error_message"]
    assert error["data"]["error_details"]["field"] == "sub"


def test_pages_of_other_origins_connect_where_they_are_named():
    page = "http://localhost:3000"
    with Server(PROFILE) as server, pytest.raises(InvalidStatus, match="403"):
        server.open(address(access("ada")), headers={"Origin": page})
    with Server(PROFILE, env={"WEBSOCKET_ALLOWED_ORIGINS": f"https://app.example.com,{page}"}) as server:
        with server.open(address(access("ada")), headers={"Origin": page}) as client:
            assert client.receive()["type"] == "connection_ack"
        with pytest.raises(InvalidStatus, match="403"):
            server.open(address(access("ada")), headers={"Origin": "https://evil.example.com"})


def test_forged_tokens_are_closed_with_1008_and_none_at_all_after_a_while():
    with Server(PROFILE, config='[timeouts]\nauth = "100ms"\n') as server:
        forged = access("ada")[:-4] + "AAAA"
        assert ended(server, address(forged))[1] == (1008, "Authentication failed")
        with server.open(PATH) as client:
            assert client.ended() == (1008, "Authentication failed")


def test_a_token_may_stay_out_of_the_address(server):
    with server.open(f"{PATH}?client_id=techdeck_0a0b0c0d", token=access("ada")) as client:
        assert client.receive()["client_id"] == "techdeck_0a0b0c0d"
    with server.open(PATH) as client:
        client.send({"type": "auth", "token": access("ada")})
        greeting = client.receive()
        assert greeting["type"] == "connection_ack" and greeting["client_id"]


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {},
        {"client_type": "mobile"},
        {"client_type": "desktop", "client_version": "2.0"},
        {"client_type": "api", "client_version": "v1.4.0-rc.1", "user_agent": "pipeline/1.4"},
        {"client_type": "web", "client_version": "", "user_agent": None, "more": {"of": "its own"}},
    ],
)
def test_good_metadata_gets_in(server, metadata):
    with server.open(address(access("ada"), metadata=metadata)) as client:
        assert client.receive()["type"] == "connection_ack"


@pytest.mark.parametrize(
    "metadata",
    [
        "no json",
        "[]",
        {"client_version": "1.0"},
        {"client_type": "toaster"},
        {"client_type": ["web"]},
        {"client_type": "web", "client_version": "latest"},
        {"client_type": "web", "client_version": "1..2"},
        {"client_type": "web", "client_version": 2},
        {"client_type": "web", "user_agent": "sqlmap/1.8"},
        {"client_type": "web", "user_agent": "<script>alert(1)</script>"},
        {"client_type": "web", "user_agent": "x" * 513},
        {"client_type": "web", "user_agent": 1},
        {"client_type": "web", "more": "x" * 5_000},
    ],
    ids=str,
)
def test_bad_metadata_is_closed_with_1008_invalid_client_metadata(server, metadata):
    assert ended(server, address(access("ada"), metadata=metadata))[1] == (1008, "Invalid client metadata")


@pytest.mark.parametrize(
    ("metadata", "field"),
    [
        ("[]", "metadata"),
        ("no json", "metadata"),
        ({"client_type": "toaster"}, "metadata.client_type"),
        ({"client_type": "web", "client_version": "latest"}, "metadata.client_version"),
        ({"client_type": "web", "user_agent": "sqlmap/1.8"}, "metadata.user_agent"),
    ],
    ids=str,
)
def test_what_is_wrong_with_metadata_is_named(server, metadata, field):
    error, _ = ended(server, address(access("ada"), metadata=metadata))
    assert error["data"]["error_details"]["field"] == field


def test_a_pattern_of_suspicious_agents_must_be_one_and_an_empty_one_suspects_nobody():
    scanner = {"client_type": "web", "user_agent": "sqlmap/1.8"}
    with Server(PROFILE, env={"SUSPICIOUS_USER_AGENTS": ""}) as server, server.open(address(access("ada"), metadata=scanner)) as client:
        assert client.receive()["type"] == "connection_ack"
    with pytest.raises(AssertionError, match="SUSPICIOUS_USER_AGENTS: must be a regular expression"):
        Server(PROFILE, env={"SUSPICIOUS_USER_AGENTS": "("})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HEARTBEAT_INTERVAL_MS", "abc"),
        ("HEARTBEAT_INTERVAL_MS", "0"),
        ("HEARTBEAT_TIMEOUT_MS", "-5"),
        ("MAX_CONNECTIONS_PER_USER", "-1"),
        ("CONNECTION_POOL_MAX_SIZE", "1.5"),
        ("MAX_MESSAGE_SIZE_BYTES", "10"),
        ("ROOM_MAX_MEMBERS", "0"),
        ("OPERATION_TTL_SECONDS", "0"),
        ("FLAT_PROGRESS", "perhaps"),
    ],
)
def test_a_variable_that_cannot_be_is_named(name, value):
    with pytest.raises(AssertionError, match=f"{name}: must be"):
        Server(PROFILE, env={name: value})


def test_a_user_has_only_so_many_connections_and_others_still_get_in():
    with Server(PROFILE, env={"MAX_CONNECTIONS_PER_USER": "2"}) as server:
        first, second = enter(server, "ada"), enter(server, "ada")
        assert ended(server, address(access("ada")))[1] == (1008, "Connection limit exceeded")
        with enter(server, "ben"):
            pass
        first.close()
        eventually("a place is free", lambda: _gets_in(server, "ada"))
        second.close()


def test_a_user_has_five_connections_unless_that_is_set(server):
    clients = [enter(server, "many") for _ in range(5)]
    assert ended(server, address(access("many")))[1] == (1008, "Connection limit exceeded")
    for client in clients:
        client.close()


def _gets_in(server, user):
    with server.open(address(access(user))) as client:
        return client.receive()["type"] == "connection_ack"


def test_the_pool_takes_a_thousand_connections_and_no_more():
    """The document's pool; each of them answers, and the one too many is told."""
    with Server(PROFILE) as server, ThreadPoolExecutor(16) as pool:
        clients = list(pool.map(lambda number: enter(server, f"user-{number}"), range(1_000)))
        report = server.http("GET", "/pipeline/metrics", status=200)
        assert report["active_connections"] == 1_000
        assert ended(server, address(access("one-more")))[1] == (1008, "Connection limit exceeded")
        list(pool.map(lambda client: client.close(), clients))


def test_another_user_cannot_take_a_client_id_over(server):
    with enter(server, "ada", client_id="techdeck_11111111"):
        error, (code, _) = ended(server, address(access("eve"), "techdeck_11111111"))
        assert code == 1008 and "client_id" in error["data"]["error_message"]


def test_pings_are_numbered_and_each_answer_is_rated():
    with Server(PROFILE, env=FAST) as server, enter(server, "ada") as client:
        assert client.greeting["heartbeat_interval"] == 300
        pings = []
        for _ in range(3):
            ping = client.until("heartbeat_ping")
            datetime.fromisoformat(ping["timestamp"])
            assert uuid.UUID(ping["message_id"]) and ping["sender"] == "server"
            pings.append(ping["sequence_number"])
            pong(client, ping)
            health = client.until("connection_health")
            assert health["connection_quality"] in ["excellent", "good", "fair", "poor"] and health["rtt_ms"] >= 0
        assert pings == [pings[0], pings[0] + 1, pings[0] + 2]


def test_a_bad_pong_is_told_and_changes_nothing(server):
    with enter(server, "ada") as client:
        ping = client.until("heartbeat_ping")
        for bad in [{"sequence_number": 999}, {"sequence_number": "one"}, {}]:
            client.send({"type": "heartbeat_pong", **bad})
            assert client.until("connection_error")["data"]["error_details"]["code"] == 4005
        pong(client, ping)
        assert client.until("connection_health")["connection_quality"] == "excellent"


def test_who_answers_no_ping_is_told_and_closed():
    """Counted from what has come from the client, not from the server's own ping."""
    with Server(PROFILE, env=FAST) as server, enter(server, "ada") as client:
        timeout = client.until("connection_timeout")
        assert uuid.UUID(timeout["message_id"]) and timeout["sender"] == "server"
        assert timeout["reason"] == "Heartbeat timeout - connection will be closed"
        datetime.fromisoformat(timeout["timestamp"])
        assert client.ended() == (1000, "Heartbeat timeout")
        told = server.http("GET", f"/pipeline/connections/{client.greeting['client_id']}", status=200)
        assert told["state"] == "closed"


def test_slow_round_trips_are_logged_from_the_threshold_on():
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
        config = f'[audit]\npath = "{file.name}"\n'
        with Server(PROFILE, config=config, env={"SLOW_CONNECTION_THRESHOLD_MS": "1"}) as server, enter(server, "ada") as client:
            ping = client.until("heartbeat_ping")
            time.sleep(0.02)
            pong(client, ping)
            client.until("connection_health")
            eventually("a line", lambda: '"event":"slow"' in open(file.name).read())


def test_a_heartbeat_is_answered_and_what_is_unknown_is_told(server):
    with enter(server, "ada") as client:
        client.send({"type": "heartbeat", "client_id": "x"})
        alive = client.until("heartbeat")
        assert datetime.fromisoformat(alive["timestamp"]) and uuid.UUID(alive["message_id"])
        client.send({"type": "do_magic"})
        error = client.until("connection_error")
        assert error["data"]["error_code"] == "INVALID_MESSAGE" and error["data"]["retry_allowed"] is False
        assert error["version"] == "1.0" and uuid.UUID(error["message_id"]) and error["sender"] == "server"
        assert error["metadata"] == {"error_category": "system", "compliance_impact": "none", "audit_required": True}
        client.socket.send("no json at all")
        client.until("connection_error")
        for operation_id in [None, "", 5, "a b", "x" * 300]:
            client.send({"type": "subscribe_operation", "operation_id": operation_id})
            error = client.until("connection_error")["data"]
            assert error["error_details"]["field"] == "operation_id" and "`room`" not in error["error_message"], operation_id


def test_messages_above_the_limit_end_the_connection():
    with Server(PROFILE, env={"MAX_MESSAGE_SIZE_BYTES": "2048"}) as server, enter(server, "ada") as client:
        assert client.greeting["max_message_size"] == 2_048
        client.send({"type": "heartbeat", "padding": "x" * 3_000})
        assert client.ended()[0] == 1009


def test_an_operator_ends_a_connection_with_1000_and_a_client_that_is_not_there_is_404(server):
    with enter(server, "gone") as client:
        body = {"client_id": client.greeting["client_id"], "reason": "Normal closure"}
        assert server.http("POST", "/v1/admin/disconnect", body, status=200)["connections"] == 1
        assert client.ended() == (1000, "Normal closure")
    status, _ = server.http("DELETE", "/v1/connections/techdeck_ffffffff")
    assert status == 404


def test_what_is_known_of_a_connection_can_be_asked(server):
    with enter(server, "ada", metadata={"client_type": "web"}) as client:
        pong(client, client.until("heartbeat_ping"))
        client.until("connection_health")
        path = f"/pipeline/connections/{client.greeting['client_id']}"
        told = server.http("GET", path, status=200)
        assert (told["user_id"], told["failed"], told["connection_quality"]) == ("ada", False, "excellent")
        assert told["role"] == "therapist" and told["subscribed_rooms"] == ["pipeline_system:all"]
        assert told["heartbeat_sequence"] >= 1 and told["last_rtt_ms"] >= 0 and told["last_pong"] and told["connected_at"]
        drop(client)
    gone = eventually("its end", lambda: _ended(server, path))
    assert gone["failed"] is True and "failure_reason" in gone
    assert server.http("GET", path, key=None)[0] == 401
    assert server.http("GET", "/pipeline/connections/techdeck_nobody0")[0] == 404


def _ended(server, path):
    told = server.http("GET", path, status=200)
    return told if told["state"] == "closed" else None


def test_who_lost_its_connection_comes_back_to_its_operations_with_what_the_greeting_gave(server):
    server.http("POST", "/v1/operations", {"operation_id": "come-back"}, status=200)
    client = enter(server, "ada", client_id="techdeck_22222222")
    client.send({"type": "subscribe_operation", "operation_id": "come-back"})
    client.until("progress_update")
    resume = client.greeting["resume"]
    drop(client)
    with enter(server, "ada", client_id=None, resume=resume) as back:
        assert back.greeting["resumed"] is True and back.greeting["client_id"] == "techdeck_22222222"
        assert back.until("progress_update")["operation_id"] == "come-back"
        server.http("PATCH", "/v1/operations/come-back", {"progress": 10}, status=200)
        back.until("progress_update", lambda message: message["data"]["progress_percentage"] == 10)
    with Server(PROFILE, env={"AUTO_RECONNECT_ENABLED": "false"}) as without, enter(without, "ada") as client:
        assert "resume" not in client.greeting


def test_the_metrics_report_has_every_figure_and_is_for_operators(server):
    with enter(server, "ada") as client:
        pong(client, client.until("heartbeat_ping"))
        client.until("connection_health")
        report = server.http("GET", "/pipeline/metrics", status=200)
        datetime.fromisoformat(report["timestamp"])
        assert report["active_connections"] >= 1 and report["memory_usage_mb"] > 1
        assert report["connection_health_percentage"] == 100
        for figure in ["message_queue_size", "message_throughput_per_second", "average_message_latency_ms", "cpu_usage_percentage"]:
            assert report[figure] >= 0, figure
    assert server.http("GET", "/pipeline/metrics", key=None)[0] == 401
    assert server.http("GET", "/pipeline/metrics", token=access("ada"))[0] == 403


def test_connections_and_messages_are_counted_for_a_scraper(server):
    with enter(server, "ada") as client:
        client.send({"type": "heartbeat"})
        client.until("heartbeat")
    text = _metrics(server)
    assert re.search(r"^fanfare_connections\S* \d", text, re.M) and "fanfare_delivered" in text


def _metrics(server):
    with urllib.request.urlopen(f"http://{server.address}/metrics") as answer:
        return answer.read().decode()


@pytest.mark.parametrize("enabled", ["true", "false"])
def test_compression_is_agreed_to_where_it_is_enabled(enabled):
    with Server(PROFILE, env={"WEBSOCKET_COMPRESSION_ENABLED": enabled}) as server, enter(server, "ada") as client:
        agreed = [extension.name for extension in client.socket.protocol.extensions]
        assert agreed == (["permessage-deflate"] if enabled == "true" else [])


def test_the_audit_has_who_did_what_and_never_a_token_or_what_was_said():
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
        secret = access("ada", jti="planted")
        with Server(PROFILE, config=f'[audit]\npath = "{file.name}"\npublishes = true\n') as server:
            path = address(secret, "techdeck_33333333", {"client_type": "web", "user_agent": "planted-agent"})
            with server.open(path) as client:
                client.until("connection_ack")
                eventually("it is there", lambda: server.http("GET", "/v1/connections/techdeck_33333333", status=200)["rooms"])
                event = {"type": "system_status", "data": {"status": "planted-text"}}
                placed = server.event("pipeline", event)["done"][0]
                assert client.until("system_status")["data"] == {"status": "planted-text"}
                for kind, answer in [("create_room", "room_created"), ("join_room", "room_info"), ("leave_room", "room_left")]:
                    client.send({"type": kind, "room_id": "broadcast:audited"})
                    client.until(answer)
                server.http("POST", "/v1/operations", {"operation_id": "audited", "title": "planted-title"}, status=200)
                server.http("POST", "/v1/operations/audited/complete", {}, status=200)
            lines = lambda: [json.loads(line) for line in open(file.name)]
            eventually("the end", lambda: any(line["event"] == "close" for line in lines()))
            told = {(line["event"], line.get("room") or line.get("command")) for line in lines()}
            assert told >= {
                ("connect", None), ("publish", "pipeline_system:all"), ("command", "room.create broadcast:audited"), ("join", "broadcast:audited"),
                ("leave", "broadcast:audited"), ("call", "operation.start"), ("publish", "operation:audited"), ("call", "operation.complete"),
            }  # fmt: skip
            assert any(line.get("message_id") == placed["message_id"] for line in lines())
            assert ended(server, address("planted.bad.token"))[1][0] == 1008
            written = open(file.name).read() + server.log
            assert secret not in written and "planted" not in written
