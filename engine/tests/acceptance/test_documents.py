"""Documents: connecting, the thirteen events, and what is refused."""

import json

import pytest
from conftest import KEY, ROOT, Server, eventually, token
from websockets.exceptions import ConnectionClosed

PROFILE = str(ROOT / "engine/profile/profiles/documents.toml")
CONFIGURATION = '[timeouts]\nauth = "1s"\n'

PROGRESS = {
    "document_id": "doc-7",
    "job_id": "job-1",
    "progress": 33.3,
    "current_zone": "zone-2",
    "zones_completed": 1,
    "zones_total": 3,
    "estimated_time_remaining": 12,
    "current_operation": "Processing zone 2 of 3",
}
ZONE = {
    "document_id": "doc-7",
    "zone_id": "zone-1",
    "zone_index": 0,
    "processing_tool": "unstructured",
    "status": "processing",
    "confidence": 0.93,
    "duration_ms": 412,
}
JOB = {"document_id": "doc-7", "job_id": "job-1"}
EXPORT = {**JOB, "format": "docx"}
# Each of the thirteen: what it holds, and what it must hold.
EVENTS = {
    "connection_established": ({"client_id": "tab-9"}, ["client_id"]),
    "connection_lost": ({"client_id": "tab-9"}, ["client_id"]),
    "reconnected": ({"client_id": "tab-9"}, ["client_id"]),
    "processing_started": ({**JOB, "timestamp": "2026-11-20T10:30:00.123Z"}, list(JOB)),
    "processing_progress": (PROGRESS, [*JOB, "progress", "zones_completed", "zones_total", "current_operation"]),
    "zone_processing": (ZONE, ["document_id", "zone_id", "zone_index", "processing_tool", "status"]),
    "zone_completed": ({**ZONE, "status": "completed"}, ["document_id", "zone_id", "zone_index", "processing_tool", "status"]),
    "processing_completed": ({**JOB, "results": {"pages": 4}}, list(JOB)),
    "processing_failed": ({**JOB, "error": {"code": "OCR", "message": "unreadable"}}, list(JOB)),
    "export_started": ({**EXPORT, "timestamp": "2026-11-20T10:30:00Z"}, list(JOB)),
    "export_progress": ({**EXPORT, "progress": 50.5}, [*JOB, "progress"]),
    "export_completed": ({**EXPORT, "url": "/exports/1"}, list(JOB)),
    "export_failed": ({**EXPORT, "error": "no space"}, list(JOB)),
}


def tab(server, user, client_id, query="", role="user"):
    """A connection that was greeted."""
    client = server.open(f"/ws/{client_id}{query}", token(user, role))
    client.greeting = client.receive()
    assert client.greeting["type"] == "connection", client.greeting
    return client


def refused(server, path, presented=None, **options):
    """What is told before a connection is ended, and how it ends."""
    client = server.open(path, presented, **options)
    return client.until("error"), client.ended()


@pytest.mark.parametrize("place", ["header", "query", "cookie", "first message"])
def test_the_first_message_is_the_greeting_wherever_the_token_is(server, place):
    presented = token(f"places-{place[:5]}")
    client = {
        "header": lambda: server.open("/ws/client-1", presented),
        "query": lambda: server.open(f"/ws/client-1?token={presented}"),
        "cookie": lambda: server.open("/ws/client-1", headers={"Cookie": f"session_token={presented}"}),
        "first message": lambda: server.open("/ws/client-1"),
    }[place]()
    if place == "first message":
        client.send({"type": "auth", "token": presented})
    greeting = client.receive()
    resume = greeting.pop("resume")
    assert greeting == {"type": "connection", "status": "connected", "client_id": "client-1"} and resume
    client.close()


@pytest.mark.parametrize("bad", ["garbage", "expired", "other secret", "nothing"])
def test_who_is_not_known_is_upgraded_told_and_closed_with_4001(server, bad):
    import jwt

    presented = {
        "garbage": "a.b.c",
        "expired": token("ada", ttl=-3600),
        "other secret": jwt.encode({"sub": "ada", "exp": 4102444800}, "x" * 40, "HS256"),
        "nothing": None,
    }[bad]
    error, ended = refused(server, "/ws/client-1", presented)
    assert (error["code"], error["message"]) == (4001, "Unauthorized")
    assert ended == (4001, "Unauthorized")


def test_a_cookie_of_a_page_that_is_not_allowed_is_no_token(server):
    with pytest.raises(Exception) as refusal:
        server.open("/ws/c", headers={"Cookie": f"session_token={token('ada')}", "Origin": "https://evil.example"})
    assert "403" in str(refusal.value)


def test_guests_come_in_only_where_they_are_allowed_and_may_nothing():
    with Server(PROFILE, env={"WS_ANONYMOUS": "true"}) as open_server:
        guest = open_server.open("/ws/guest-1")
        assert guest.until("connection")["client_id"] == "guest-1"
        guest.send({"type": "subscribe", "document_id": "doc-7"})
        assert guest.until("error")["code"] in (4002, 4013)
        guest.send({"type": "processing_started", "user_id": "ada", **JOB})
        assert guest.until("error")["code"] == 4013
        error, ended = refused(open_server, "/ws/guest-2", "a.b.c")
        assert error["code"] == 4001 and ended[0] == 4001, "a bad token is no guest"


def test_a_client_id_that_another_user_has_is_refused_and_takes_nothing_over(server):
    with tab(server, "owner", "shared-id") as owner:
        thief = server.open("/ws/shared-id", token("thief"))
        assert thief.until("error")["code"]
        assert thief.ended()[0] >= 4000
        server.event("documents", {"type": "connection_lost", "user_id": "owner", "client_id": "x"})
        assert owner.until("connection_lost")["client_id"] == "x"


@pytest.mark.parametrize("kind", list(EVENTS))
def test_each_event_arrives_flat_with_everything_in_it(server, kind):
    body, _ = EVENTS[kind]
    with tab(server, "reader", "tab-1") as reader:
        server.event("documents", {"type": kind, "user_id": "reader", **body})
        assert reader.until(kind) == {"type": kind, **body}


def test_a_start_that_names_no_time_gets_the_servers(server):
    with tab(server, "timed", "tab-1") as reader:
        server.event("documents", {"type": "processing_started", "user_id": "timed", **JOB})
        message = reader.until("processing_started")
        assert message.pop("timestamp").endswith("Z"), "a time with its zone"
        assert message == {"type": "processing_started", **JOB}


@pytest.mark.parametrize("kind,field", [(kind, field) for kind, (_, fields) in EVENTS.items() for field in fields])
def test_each_required_field_is_asked_for_by_its_name(server, kind, field):
    body = {name: value for name, value in EVENTS[kind][0].items() if name != field}
    status, answer = server.event("documents", {"type": kind, "user_id": "reader", **body}, status=None)
    assert (status, answer["code"]) == (400, 4005)
    assert field in json.dumps(answer)


@pytest.mark.parametrize(
    "field,value",
    [("progress", "half"), ("zones_total", 2.5), ("document_id", 7), ("estimated_time_remaining", "soon"), ("current_operation", [])],
)
def test_a_field_of_the_wrong_kind_is_refused_by_its_name(server, field, value):
    event = {"type": "processing_progress", "user_id": "reader", **PROGRESS, field: value}
    status, answer = server.event("documents", event, status=None)
    assert (status, answer["code"]) == (400, 4005) and field in json.dumps(answer)


def test_what_may_be_missing_may_be_null_or_left_out(server):
    with tab(server, "sparse", "tab-1") as reader:
        body = {**PROGRESS, "current_zone": None}
        del body["estimated_time_remaining"]
        server.event("documents", {"type": "processing_progress", "user_id": "sparse", **body})
        message = reader.until("processing_progress")
        assert message.get("current_zone") is None and "estimated_time_remaining" not in message


def test_an_event_is_for_one_client_or_all_of_a_user(server):
    with tab(server, "two", "two-a") as first, tab(server, "two", "two-b") as second, tab(server, "other", "o") as other:
        server.event("documents", {"type": "processing_completed", "client": "two-a", **JOB})
        server.event("documents", {"type": "processing_failed", "user_id": "two", **JOB})
        assert first.until("processing_completed")["job_id"] == "job-1"
        first.until("processing_failed")

        def end():
            server.event("documents", {"type": "export_failed", "user_id": "two", **JOB})
            return "export_failed"

        second.silent(["processing_completed"], end)

        def elsewhere():
            server.event("documents", {"type": "export_failed", "user_id": "other", **JOB})
            return "export_failed"

        other.silent(["processing_completed", "processing_failed"], elsewhere)


@pytest.mark.parametrize(
    "event",
    [
        {"type": "processing_started", **JOB},
        {"type": "processing_started", "user_id": "a", "client": "b", **JOB},
        {"type": "processing_started", "user_id": "a", "room": "document:1", **JOB},
        {"type": "processing_started", "room": "document:1", "confirm": True, **JOB, "client": "c"},
        {"type": "processing_started", "room": "elsewhere:1", **JOB},
        {"type": "processing_begun", "user_id": "a", **JOB},
        {"user_id": "a", **JOB},
        {"type": 7},
        [7],
        "processing_started",
    ],
)
def test_what_is_addressed_to_nobody_to_two_or_not_known_is_refused(server, event):
    status, answer = server.event("documents", event, status=None)
    # Of a list each is answered by itself.
    refusals = answer if isinstance(answer, list) else [answer]
    assert status == 400 and all(refusal["code"] == 4005 for refusal in refusals), answer


def test_who_names_no_target_is_told_of_those_that_there_are_here(server):
    for target in ({}, {"all": True}, {"users": ["ada"]}, {"role": "user"}, {"user_id": ""}, {"user_id": None}):
        refusal = server.event("documents", {"type": "processing_started", **JOB, **target}, status=400)
        assert refusal["message"] == "exactly one of `user_id`, `room` and `client` must be there, and not empty", target


def test_times_of_a_backend_are_times_and_have_a_zone(server):
    """A time without a zone is UTC's: browsers take it for local time."""
    with tab(server, "tim", "tim-1") as client:
        for said, told in [("2026-11-20T10:30:00", "2026-11-20T10:30:00Z"), ("2026-11-20T12:30:00+02:00",) * 2]:
            server.event("documents", {"type": "processing_started", "user_id": "tim", "timestamp": said, **JOB})
            assert client.until("processing_started")["timestamp"] == told
    refusal = server.event("documents", {"type": "processing_started", "user_id": "tim", "timestamp": "x", **JOB}, status=400)
    assert refusal["details"]["field"] == "timestamp"


def test_of_a_list_each_event_is_done_or_refused_by_itself(server):
    with tab(server, "lia", "lia-1") as client:
        good = {"type": "processing_started", "user_id": "lia", "document_id": "d"}
        events = [{**good, "job_id": "one"}, good, {**good, "job_id": "three"}]
        answers = server.event("documents", events, status=207)
        assert len(answers) == 3 and answers[1]["details"]["field"] == "job_id", answers
        assert [client.until("processing_started")["job_id"] for _ in range(2)] == ["one", "three"]


def test_several_events_may_come_in_one_request_and_keep_their_order(server):
    events = []
    for index in range(3):
        zone = {**ZONE, "zone_id": f"zone-{index}", "zone_index": index}
        events.append({"type": "zone_processing", "user_id": "ordered", **zone})
        events.append({"type": "zone_completed", "user_id": "ordered", **zone, "status": "completed"})
        events.append({"type": "processing_progress", "user_id": "ordered", **PROGRESS, "zones_completed": index + 1})
    with tab(server, "ordered", "tab-1") as reader:
        server.event("documents", events)
        told = [reader.receive() for _ in events]
        assert [message["type"] for message in told] == [event["type"] for event in events]
        assert [message["zones_completed"] for message in told[2::3]] == [1, 2, 3]


def test_only_backends_and_workers_may_say_events(server):
    event = {"type": "processing_completed", "user_id": "victim", **JOB}
    assert server.http("POST", "/v1/profiles/documents/events", event, key=None)[0] == 401
    assert server.http("POST", "/v1/profiles/documents/events", event, token=token("eve"))[0] == 403
    with tab(server, "victim", "v") as victim, tab(server, "eve", "e") as eve, tab(server, "w", "w", role="service") as worker:
        eve.send(event)
        assert eve.until("error")["code"] == 4013
        eve.send({**event, "user_id": None, "room": "deliveries:victim"})
        assert eve.until("error")["code"] == 4005

        def work():
            worker.send({**event, "type": "processing_failed"})
            return "processing_failed"

        victim.silent(["processing_completed"], work)


def test_the_other_connections_of_a_user_hear_who_comes_and_goes(server):
    with tab(server, "devices", "phone") as phone, tab(server, "stranger", "desk") as stranger:
        laptop = tab(server, "devices", "laptop")
        assert phone.until("connection_established")["client_id"] == "laptop"
        laptop.close()
        assert phone.until("user_disconnected") == {"type": "user_disconnected", "client_id": "laptop"}

        def end():
            server.event("documents", {"type": "export_failed", "user_id": "stranger", **JOB})
            return "export_failed"

        stranger.silent(["user_disconnected", "connection_established"], end)


def test_devices_of_others_are_not_to_be_watched(server):
    with server.open("/v1/ws", token("eve")) as eve, server.open("/v1/ws", token("devices")) as own:
        eve.until("welcome"), own.until("welcome")
        for room in ("devices:ada", "deliveries:ada"):
            eve.send({"type": "join", "id": 1, "room": room})
            assert eve.until("error")["code"] == 4013
        own.send({"type": "join", "id": 2, "room": "devices:devices"})
        assert own.until("joined")["id"] == 2


@pytest.mark.parametrize("user", ["auth0|ada lovelace", "ada@example.org", "Zoë", "a:b/c%20~x", "x" * 100])
def test_a_user_whose_id_no_room_can_have_is_served_all_the_same(server, user):
    with tab(server, user, "odd") as odd:
        server.event("documents", {"type": "processing_failed", "user_id": user, **JOB})
        assert odd.receive()["type"] == "processing_failed"
        server.event("documents", {"type": "processing_completed", "user_id": user, "confirm": True, **JOB})
        odd.send({"type": "confirm", "message_id": odd.until("processing_completed")["message_id"]})
        assert odd.until("confirmed")
        tab(server, user, "odd-2").close()
        assert odd.until("user_disconnected")["client_id"] == "odd-2"
    with tab(server, "y" * 128, "long") as long:
        server.event("documents", {"type": "processing_failed", "user_id": "y" * 128, **JOB})
        assert long.receive()["type"] == "processing_failed", "too long for rooms of its own"


def test_bad_messages_are_refused_and_the_connection_lives_on(server):
    with tab(server, "clumsy", "c") as client:
        for text in ["", "{", "7", '"ping"', "null", '{"type":7}', "{}", '{"type":"no_such_thing"}', '{"type":"publish","room":"x","event":"y"}']:
            client.socket.send(text)
            assert client.until("error")["code"] == 4005, text
        client.send({"type": "subscribe"})
        error = client.until("error")
        assert error["code"] == 4005 and "document_id" in json.dumps(error)
        client.send({"type": "ping"})
        assert client.until("pong")["timestamp"].endswith("Z")
        client.socket.send('{"type":"ping","pad":"' + "x" * 70_000 + '"}')
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                client.receive()
        assert closed.value.rcvd.code == 1009


def test_a_page_that_only_listens_is_not_sent_away_for_it():
    with Server(PROFILE, config='[heartbeat]\ninterval = "1s"\nidle = "1s"\n') as server:
        own = server.open("/v1/ws", token("eve"))
        with tab(server, "ada", "tab-1") as page:
            assert own.ended()[0] == 4010, "time enough has passed at the engine's own endpoint"
            server.event("documents", {"type": "processing_completed", "user_id": "ada", **JOB})
            assert page.receive()["type"] == "processing_completed"


def test_connections_are_limited_for_each_user_and_in_all():
    env = {"WS_MAX_CONNECTIONS_PER_USER": "2", "WS_MAX_CONNECTIONS": "3"}
    with Server(PROFILE, env=env) as small:
        held = [tab(small, "greedy", f"g{number}") for number in range(2)]
        error, ended = refused(small, "/ws/g2", token("greedy"))
        assert (error["code"], ended[0]) == (4009, 4009)
        # Who was refused counts until its connection is closed.
        held.append(eventually("there is one place", lambda: try_tab(small, "modest", "m")))
        assert refused(small, "/ws/n", token("another"))[1][0] == 4009
        held.pop().close()
        eventually("a place is free", lambda: try_tab(small, "another", "n"))


def try_tab(server, user, client_id):
    client = server.open(f"/ws/{client_id}", token(user))
    if client.receive()["type"] == "connection":
        return client
    client.close()
    return None


def test_who_asks_is_pinged_with_numbers_and_its_health_is_told(server):
    with tab(server, "measured", "m1", "?health=1") as client:
        ping = client.until("heartbeat_ping")
        client.send({"type": "heartbeat_pong", "sequence_number": ping["sequence_number"]})
        assert client.until("connection_health")["quality"] == "excellent"
        health = server.http("GET", "/v1/connections/m1/health", status=200)
        assert health["state"] == "connected" and health["measured"] is True


def test_connections_are_counted_listed_and_remembered_after_their_end(server):
    client = tab(server, "watched", "w1")
    rows = server.http("GET", "/v1/users/watched/connections", status=200)["connections"]
    assert [(row["client_id"], row["state"], row["profile"]) for row in rows] == [("w1", "connected", "documents")]
    assert server.http("GET", "/v1/statistics", status=200)["connections"] >= 1
    client.close()
    ended = lambda: server.http("GET", "/v1/connections/ended?client=w1", status=200)["ended"]
    assert eventually("its end is known", ended)[0]["code"] == 1000
    metrics = raw_get(server, "/metrics")
    assert "fanfare_connections" in metrics and "fanfare_published_total" in metrics and "fanfare_closes_total" in metrics
    assert json.loads(raw_get(server, "/healthz"))["status"]


def raw_get(server, path):
    import urllib.request

    request = urllib.request.Request(f"http://{server.address}{path}", headers={"authorization": f"Bearer {KEY}"})
    return urllib.request.urlopen(request).read().decode()


def test_what_passes_can_be_looked_at_and_says_nothing_of_what_it_holds():
    with Server(PROFILE, config="[inspector]\nenabled = true\n") as seen, tab(seen, "ada", "a1") as client:
        seen.event("documents", {"type": "processing_started", "user_id": "ada", **JOB})
        client.until("processing_started")
        text = raw_get(seen, "/v1/inspector/messages")
        assert "processing_started" in text and "doc-7" not in text
        assert "a1" in raw_get(seen, "/v1/inspector/events")
