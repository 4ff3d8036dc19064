"""A health application's connections that are lost and come back, messages that are tried again, and the trace that all of it leaves."""

import json
import tempfile

import pytest
from conftest import ROOT, Server, eventually, token
from health_client import GaveUp, HealthClient

PROFILE = str(ROOT / "engine/profile/profiles/health.toml")
AUDIT = tempfile.mkdtemp(prefix="fanfare-health-") + "/audit.jsonl"
CONFIGURATION = f"""
[audit]
path = "{AUDIT}"

[profile.health]
retry_wait = "400ms"
retry_attempts = 3
"""
ENDPOINTS = ["/ws/health", "/ws/chat", "/ws/notifications", "/ws/combined"]


def opened(server, user, path="/ws/combined", **options):
    return HealthClient.at(server, path, token(user), **options)


def talk(server, name, *people):
    data = {"conversation_id": name, "title": name, "participants": list(people)}
    server.event("health", {"type": "conversation_create", "data": data})


def say(server, name, text):
    return server.event("health", {"type": "chat_message", "data": {"conversation_id": name, "text": text}})


@pytest.mark.parametrize("path", ENDPOINTS)
def test_a_user_is_made_to_reconnect_and_takes_up_what_it_had(server, path):
    user = "ina" + path.replace("/", "-")
    server.event("health", {"type": "person_registered", "data": {"user_id": user}})
    with opened(server, user, path, first=0.01) as client, opened(server, user, path, first=0.01) as other:
        before = client.greeting
        # A connection without any topic has nothing that could be taken up.
        has_topics = path != "/ws/notifications"
        if path == "/ws/chat":
            client.ask("conversation_create", "conversation_created", conversation_id=user)
        elif has_topics:
            client.until("health_snapshot")
        assert server.http("POST", f"/ws/user/{user}/reconnect", status=200) == {"user_id": user, "connections": 2}
        for one in (client, other):
            assert one.socket.ended()[0] == 1012
            one.ask("heartbeat", "heartbeat_ack")
            assert one.state == "AUTHENTICATED"
        assert client.greeting["resumed"] is has_topics
        assert client.greeting["connection_id"] == before["connection_id"]
    assert server.http("POST", "/ws/user/nobody/reconnect", status=200)["connections"] == 0


def test_a_lost_connection_brings_its_topics_and_what_was_missed(server):
    server.event("health", {"type": "person_registered", "data": {"user_id": "kai"}})
    rule = {"user_id": "kai", "threshold_id": "high", "metric": "pulse", "limit": "above", "value": 120}
    server.event("health", {"type": "threshold_set", "data": rule})
    talk(server, "lost", "kai")
    with opened(server, "kai", first=0.01) as client:
        client.ask("conversation_join", "conversation_joined", conversation_id="lost")
        say(server, "lost", "before")
        client.until("chat_message")
        connection = client.greeting["connection_id"]
        client.socket.socket.socket.shutdown(2)
        ended = eventually(
            "it is known to be lost",
            lambda: (found := server.http("GET", f"/ws/connection/{connection}/health")[1]) and found["state"] == "ERROR" and found,
        )
        assert (ended["close_code"], ended["recoverable"]) == (1006, True)
        say(server, "lost", "meanwhile")
        server.event("health", {"type": "health_data", "data": {"user_id": "kai", "metrics": {"pulse": 130}}})
        told = {}
        while len(told) < 2:
            message = client.receive()
            if message["type"] in ("chat_message", "health_alert"):
                told[message["type"]] = message["data"]
        assert told["chat_message"]["text"] == "meanwhile" and told["health_alert"]["value"] == 130
        assert client.greeting["resumed"] is True
        shown = server.http("GET", f"/ws/connection/{connection}/health", status=200)
        assert (shown["state"], shown["healthy"]) == ("AUTHENTICATED", True)


def test_a_client_that_finds_nobody_waits_longer_each_time_and_gives_up(server):
    tries, slept = [], []

    def dial(query):
        tries.append(query)
        if len(tries) <= 4:
            raise ConnectionRefusedError
        return server.open("/ws/chat" + query, token=token("bob"))

    def refuse(_query):
        raise ConnectionRefusedError

    with HealthClient(dial, sleep=slept.append) as client:
        assert client.state == "AUTHENTICATED" and client.waits == [1, 2, 4, 8]
        assert all(longest / 2 <= waited <= longest for waited, longest in zip(slept, client.waits)), slept
        assert len({waited / longest for waited, longest in zip(slept, client.waits)}) > 1, "not all at the same time"
        client.dial = refuse
        client.cap, client.attempts = 5, 6
        client.waits.clear()
        client.socket.socket.socket.shutdown(2)
        with pytest.raises(GaveUp):
            client.receive()
        assert client.waits == [1, 2, 4, 5, 5, 5] and client.state == "ERROR"


def test_a_message_that_is_not_acknowledged_is_sent_again_so_often_and_then_put_aside(server):
    talk(server, "tried", "deaf", "good")
    with opened(server, "good") as good, opened(server, "deaf", acknowledges=False) as deaf:
        for client in (good, deaf):
            client.ask("conversation_join", "conversation_joined", conversation_id="tried")
        said = say(server, "tried", "did you get this?")["data"]
        good.until("chat_message")
        copies = [deaf.socket.until("chat_message") for _ in range(3)]
        assert all(copy == copies[0] for copy in copies) and copies[0]["offset"] == said["message_number"]
        letters = eventually(
            "it is put aside", lambda: server.http("GET", "/v1/users/deaf/dead_letters")[1]["dead_letters"]
        )
        assert letters[0]["deliveries"] == 3 and letters[0]["message"]["message_id"] == copies[0]["message_id"]
        deaf.socket.silent({"chat_message"}, lambda: deaf.send("heartbeat") or "heartbeat_ack")
        assert server.http("GET", "/v1/users/good/dead_letters")[1]["dead_letters"] == []


def test_what_is_said_while_somebody_is_away_comes_when_it_joins_again(server):
    talk(server, "away", "liv")
    with opened(server, "liv", "/ws/chat") as liv:
        liv.ask("conversation_join", "conversation_joined", conversation_id="away")
    texts = [f"line {number}" for number in range(5)]
    for text in texts:
        say(server, "away", text)
    with opened(server, "liv", "/ws/chat") as liv:
        liv.send("conversation_join", conversation_id="away")
        assert [liv.until("chat_message")["data"]["text"] for _ in texts] == texts


def test_a_token_that_runs_out_ends_the_connection_and_a_newer_one_keeps_it():
    with Server(PROFILE, config="[auth]\nleeway = \"0s\"\n") as server:
        with server.open("/ws/chat", token=token("ada", ttl=2)) as left, server.open("/ws/chat", token=token("ada", ttl=2)) as kept:
            kept.until("connection_state")
            kept.send({"type": "refresh_token", "data": {"token": token("ada")}})
            assert kept.until("token_refreshed")
            kept.send({"type": "refresh_token", "data": {"token": token("eve")}})
            assert kept.until("error")["code"] in (4001, 4013)
            assert left.ended()[0] == 4012
            kept.send({"type": "heartbeat"})
            kept.until("heartbeat_ack")


def test_everything_that_is_done_is_in_the_audit_and_nothing_that_is_said(server):
    words = ["purple-elephant-chat", "purple-elephant-note", "purple-elephant-alert", "31337.25"]
    server.event("health", {"type": "person_registered", "data": {"user_id": "aud", "carers": ["cal"]}})
    rule = {"user_id": "aud", "threshold_id": "t", "metric": "pulse", "limit": "above", "value": 100, "message": words[2]}
    server.event("health", {"type": "threshold_set", "data": rule})
    talk(server, "traced", "aud")
    secret = token("aud")
    with HealthClient.at(server, f"/ws/combined?token={secret}", None) as aud, opened(server, "eve") as eve:
        aud.ask("conversation_join", "conversation_joined", conversation_id="traced")
        aud.ask("chat_message", "chat_message_sent", conversation_id="traced", text=words[0])
        aud.ask("health_data", "health_data_received", metrics={"pulse": float(words[3])})
        aud.until("health_alert")
        eve.send("subscribe", topic="vitals:aud")
        eve.until("error", lambda error: error["code"] == 4013)
        server.http("DELETE", f"/ws/connection/{eve.greeting['connection_id']}", status=200)
    note = {"user_id": "aud", "type": "health_alert", "title": words[1]}
    server.event("health", {"type": "notification", "data": note})

    def lines():
        with open(AUDIT) as file:
            return [json.loads(line) for line in file]

    def told(event, **members):
        return any(line["event"] == event and members.items() <= line.items() for line in lines())

    for event, members in [
        ("connect", {"user_id": "aud", "role": "user"}),
        ("join", {"user_id": "aud", "room": "vitals:aud"}),
        ("join", {"user_id": "aud", "room": "conversation:traced"}),
        ("join_denied", {"user_id": "eve", "room": "vitals:aud"}),
        ("close", {"user_id": "aud", "code": 1000}),
        ("disconnect", {"actor": "backend"}),
        ("admin", {"actor": "backend"}),
    ]:
        eventually(f"{event} {members}", lambda: told(event, **members))
    with open(AUDIT) as file:
        text = file.read() + server.log
    for word in [*words, secret, secret.split(".")[1]]:
        assert word not in text, word
