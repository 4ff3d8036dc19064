"""Live sessions of a group: how clients come in, as whom, and how they are refused."""

import json
import warnings

import jwt
import pytest
from conftest import KEY, PATIENCE, ROOT, SECRET, Server, token
from websocket import create_connection, setdefaulttimeout
from websockets.exceptions import InvalidStatus

PROFILE = str(ROOT / "engine/profile/profiles/sessions.toml")
CONFIGURATION = """
[timeouts]
auth = "1s"

[auth]
leeway = "0s"
"""
TEXT = "Authentication failed. Please log in again."

# What the application's own test waits for comes soon, or not at all.
setdefaulttimeout(PATIENCE)


def ticket(user, session, role="participant", ttl=3600, **claims):
    """A token for one session, as the application's backend makes it."""
    return token(user, role, ttl, **{"session_id": session, "type": "websocket", **claims})


def place(session, client_id, role=None):
    """The path as clients write it."""
    wanted = f"&role={role}" if role else ""
    return f"/ws/live-updates?session_id={session}&client_id={client_id}{wanted}"


def enter(server, session, user, role="participant"):
    """Somebody who is in a session; `greeting` is what it was told."""
    # Without a bound on what waits to be read, closing does not wait for it either.
    client = server.open(place(session, user, role), ticket(user, session, role), max_queue=None)
    client.greeting = client.receive()
    assert client.greeting["type"] == "welcome", client.greeting
    return client


def refused(client):
    """What somebody who is not let in is told, and how it ends."""
    error = client.receive()
    assert error["type"] == "error", error
    return error["code"], error["message"], client.ended()


@pytest.fixture
def test_client(server):
    return server


def test_websocket_full_flow(test_client):
    """The application's own test: nothing is changed but the host and that it brings a token."""

    # Create WebSocket connection
    ws_url = test_client.url("/ws/live-updates")
    params = "?session_id=test-001&client_id=test-client&role=participant"
    params += f"&token={ticket('user-123', 'test-001')}"

    ws = create_connection(ws_url + params)

    try:
        # Receive welcome message
        welcome = json.loads(ws.recv())
        assert welcome['type'] == 'welcome'
        assert welcome['session_id'] == 'test-001'

        # Send heartbeat
        ws.send(json.dumps({'type': 'heartbeat'}))

        # Receive heartbeat acknowledgment
        heartbeat_ack = json.loads(ws.recv())
        assert heartbeat_ack['type'] == 'heartbeat_ack'

        # Send technique feedback
        ws.send(json.dumps({
            'type': 'technique_feedback',
            'data': {
                'technique': 'Box Breathing',
                'rating': 5
            }
        }))

        # Receive feedback confirmation
        feedback_response = json.loads(ws.recv())
        assert feedback_response['type'] == 'feedback_received'

    finally:
        ws.close()


def test_the_greeting_tells_the_session_and_who_is_there(server):
    with enter(server, "greet-1", "ada") as ada, enter(server, "greet-1", "ben", "instructor") as ben:
        assert (ada.greeting["client_id"], ada.greeting["user_id"], ada.greeting["role"]) == ("ada", "ada", "participant")
        content = ben.greeting["content"]
        assert content["participant_count"] == 2
        assert sorted((of["name"], of["role"]) for of in content["participants"]) == [("ada", "participant"), ("ben", "instructor")]


@pytest.mark.parametrize(
    ("granted", "wanted", "is_now"),
    [
        ("instructor", "participant", "participant"),
        ("instructor", None, "instructor"),
        ("participant", "instructor", "participant"),
        ("participant", "admin", "participant"),
        ("admin", "observer", "observer"),
        ("observer", "participant", "observer"),
        (None, None, "participant"),
        (None, "instructor", "participant"),
    ],
)
def test_the_role_in_the_url_only_narrows_what_the_token_grants(server, granted, wanted, is_now):
    with server.open(place("roles-1", "ada", wanted), ticket("ada", "roles-1", granted)) as client:
        assert client.receive()["role"] == is_now


@pytest.mark.parametrize(("granted", "wanted"), [("nurse", None), ("participant", "root"), ("", None)])
def test_a_role_that_there_is_not_opens_nothing(server, granted, wanted):
    with server.open(place("roles-2", "ada", wanted), ticket("ada", "roles-2", granted)) as client:
        code, text, (closed, _) = refused(client)
        assert (code, text, closed) == (4001, TEXT, 1008)


def test_a_token_may_come_in_the_url_a_header_a_cookie_or_the_first_message(server):
    path, pass_ = place("ways-1", "ada"), ticket("ada", "ways-1")
    with server.open(f"{path}&token={pass_}") as by_url, server.open(path, pass_) as by_header:
        assert by_url.receive()["type"] == by_header.receive()["type"] == "welcome"
    with server.open(path, headers={"Cookie": f"theme=dark; ws_token={pass_}"}) as by_cookie:
        assert by_cookie.receive()["type"] == "welcome"
    with server.open(path, headers={"Cookie": f"ws_token={pass_}"}, origin="https://app.halcytone.com") as of_page:
        assert of_page.receive()["type"] == "welcome"
    with server.open(path) as by_message:
        by_message.send({"type": "auth", "token": pass_})
        assert by_message.receive()["type"] == "welcome"


def test_without_a_token_nobody_comes_in(server):
    with server.open(place("none-1", "ada")) as silent, server.open(place("none-1", "ben")) as hasty:
        hasty.send({"type": "heartbeat"})
        for client in (hasty, silent):
            assert refused(client) == (4001, TEXT, (1008, "No authentication token provided"))


def bad_tokens():
    good = jwt.decode(ticket("ada", "s-1"), options={"verify_signature": False})
    foreign = jwt.encode(good, "another-secret-that-is-long-enough-for-hs256", "HS256")
    unsigned = jwt.encode(good, None, "none")
    with warnings.catch_warnings(action="ignore"):
        longer = jwt.encode(good, SECRET, "HS384")
    return [
        (ticket("ada", "s-1", ttl=-1), "Token expired"),
        (ticket("ada", "s-1", type="access"), "Invalid token: Invalid token type"),
        (ticket("ada", "s-1", type=None), "Invalid token: Invalid token type"),
        (ticket("ada", "s-2"), "Access denied to session"),
        (ticket("ada", "s-1", session_id=None), "Access denied to session"),
        (ticket("ada", "*"), "Access denied to session"),
        (ticket(None, "s-1"), "Invalid token: "),
        (ticket(None, "s-1", user_id="ada", type="access"), "Invalid token: Invalid token type"),
        (ticket(None, "s-2", user_id="ada"), "Access denied to session"),
        (ticket("ada", "s-1", exp=None), "Invalid token: "),
        (foreign, "Invalid token: the token's signature is not right"),
        (unsigned, "Invalid token: "),
        (longer, "Invalid token: "),
        ("no.token.atall", "Invalid token: "),
    ]


@pytest.mark.parametrize(("bad", "why"), bad_tokens())
def test_a_bad_token_is_told_and_closed_with_1008_and_the_reason(server, bad, why):
    with server.open(f"{place('s-1', 'ada')}&token={bad}") as by_url, server.open(place("s-1", "ada")) as by_message:
        by_message.send({"type": "auth", "token": bad})
        for client in (by_url, by_message):
            code, text, (closed, reason) = refused(client)
            assert (code, text, closed) == (4001, TEXT, 1008)
            assert reason.startswith(why), reason


def test_the_id_of_a_session_may_be_a_number_in_the_token(server):
    for name in (1001, "1001"):
        with server.open(place("1001", "ada"), ticket("ada", name)) as client:
            assert client.receive()["type"] == "welcome"
    with server.open(place("1002", "ada"), ticket("ada", 1001)) as client:
        assert refused(client)[0] == 4001


def test_an_admin_goes_into_any_session(server):
    with server.open(place("any-1", "root"), ticket("root", "another", "admin")) as client:
        assert client.receive()["role"] == "admin"
    with server.open(place("any-1", "root", "observer"), ticket("root", None, "admin")) as client:
        assert client.receive()["role"] == "observer"


def test_a_token_that_runs_out_ends_the_connection(server):
    with server.open(place("late-1", "ada"), ticket("ada", "late-1", ttl=3)) as client:
        assert client.receive()["type"] == "welcome"
        assert client.until("error")["code"] == 4001
        assert client.ended() == (1008, "Token expired")


@pytest.mark.parametrize("session", ["", "a%20b", "%2A", "a/b", "x" * 101, "%00"])
def test_a_session_that_cannot_be_is_not_found(server, session):
    with server.open(f"/ws/live-updates?session_id={session}&client_id=ada", ticket("ada", "*", "admin")) as client:
        text = "Session not found or has ended."
        assert refused(client) == (4002, text, (4002, text))
    with server.open("/ws/live-updates?client_id=ada", ticket("ada", "s-1")) as client:
        assert refused(client)[0] == 4002


def test_nobody_takes_another_users_client_id(server):
    with enter(server, "own-1", "ada") as ada:
        with server.open(place("own-1", "ada"), ticket("eve", "own-1")) as eve:
            assert eve.receive()["type"] == "error"
        ada.send({"type": "heartbeat"})
        ada.until("heartbeat_ack")


def test_a_token_for_one_session_opens_no_other_by_the_engines_own_wire(server):
    with server.open("/v1/ws", ticket("eve", "mine-1")) as eve:
        eve.until("welcome")
        for room in ("session:other-1", "session.group:other-1", "session.feedback:mine-1", "session.feedback:other-1"):
            eve.send({"type": "join", "id": 1, "room": room})
            assert eve.until("error")["code"] == 4013, room
        for room in ("session:mine-1", "session:other-1", "session.group:other-1", "session.feedback:other-1"):
            eve.send({"type": "publish", "id": 2, "room": room, "event": "session_ending", "data": {}})
            assert eve.until("error")["code"] == 4013, room
        for user in ({"user": "ada"}, {"all": True}, {"role": "participant"}):
            eve.send({"type": "publish", "id": 3, "event": "session_ending", "data": {}, **user})
            assert eve.until("error")["code"] == 4013, user


def test_a_token_whose_session_is_a_pattern_opens_nothing_by_the_engines_own_wire(server):
    with server.open("/v1/ws", ticket("eve", "*")) as eve:
        eve.send({"type": "join", "id": 1, "room": "session:other-2"})
        error = eve.until("error")
        assert error["code"] in (4001, 4013), error


def test_what_participants_publish_past_the_profile_reaches_nobody(server):
    with enter(server, "past-1", "ada") as ada, enter(server, "past-1", "ina", "instructor") as ina:
        with server.open("/v1/ws", ticket("eve", "past-1")) as eve:
            for room in ("session.group:past-1", "session.feedback:past-1"):
                eve.send({"type": "publish", "id": 1, "room": room, "event": "instructor_message", "data": {"message": "!"}})
                eve.until("published")
        for client in (ada, ina):
            client.send({"type": "heartbeat"})
            client.silent(["instructor_message"], lambda: "heartbeat_ack")


def test_an_observer_hears_everything_and_says_nothing(server):
    with enter(server, "quiet-1", "olga", "observer") as olga:
        for message in (
            {"type": "technique_feedback", "data": {"technique": "Box Breathing", "rating": 5}},
            {"type": "technique_vote", "data": {"technique": "Box Breathing"}},
            {"type": "breathing_sync", "data": {"score": 0.9}},
            {"type": "instructor_message", "data": {"message": "hello"}},
            {"type": "session_metrics"},
        ):
            olga.send(message)
            answer = olga.receive()
            assert (answer["type"], answer["code"]) == ("error", 4013), message
        event = {"type": "technique.changed", "session_id": "quiet-1", "data": {"title": "Box Breathing"}}
        server.event("sessions", event)
        assert olga.until("technique_changed")["content"]["title"] == "Box Breathing"


def test_pages_of_other_origins_are_turned_away(server):
    path, pass_ = place("page-1", "ada"), ticket("ada", "page-1")
    for origin in ("http://localhost:3000", "http://localhost:8000", "https://app.halcytone.com", "https://breathscape.halcytone.com"):
        with server.open(path, pass_, origin=origin) as client:
            assert client.receive()["type"] == "welcome", origin
    for origin in ("https://evil.example", "http://app.halcytone.com", "https://app.halcytone.com.evil.example", "null"):
        with pytest.raises(InvalidStatus) as wrong:
            server.open(path, headers={"Cookie": f"ws_token={pass_}"}, origin=origin)
        assert wrong.value.response.status_code == 403, origin


def test_origins_come_from_the_applications_own_variable():
    with Server(PROFILE, env={"WEBSOCKET_ALLOWED_ORIGINS": '["https://one.example", "https://two.example"]'}) as server:
        with server.open(place("page-2", "ada"), ticket("ada", "page-2"), origin="https://two.example") as client:
            assert client.receive()["type"] == "welcome"
        with pytest.raises(InvalidStatus):
            server.open(place("page-2", "ada"), ticket("ada", "page-2"), origin="https://app.halcytone.com")


def test_where_no_token_is_required_one_without_is_a_participant():
    with Server(PROFILE, env={"WEBSOCKET_REQUIRE_AUTHENTICATION": "false"}) as server:
        with server.open(place("open-1", "anyone", "admin")) as client:
            assert client.receive()["role"] == "participant"
        bad = ticket("ada", "open-1", ttl=-60)
        with server.open(f"{place('open-1', 'ada')}&token={bad}") as client:
            assert refused(client)[0] == 4001, "a bad token is not as good as none"


def test_where_sessions_must_be_started_there_is_none_before_and_none_after():
    def gone(server):
        with server.open(place("begin-1", "ada"), ticket("ada", "begin-1")) as client:
            return refused(client)

    not_found = "Session not found or has ended."
    with Server(PROFILE, env={"WEBSOCKET_REQUIRE_STARTED": "true"}) as server:
        assert gone(server) == (4002, not_found, (4002, not_found))
        server.event("sessions", {"type": "session.started", "session_id": "begin-1", "data": {"title": "Morning"}})
        with enter(server, "begin-1", "ada") as ada:
            server.event("sessions", {"type": "session.ending", "session_id": "begin-1"})
            assert ada.ended()[0] == 1000
        assert gone(server) == (4002, not_found, (4002, not_found))


def test_http_without_a_key_is_401_and_with_a_token_that_may_not_403(server):
    event = {"type": "session.started", "session_id": "http-1"}
    for method, path, body in (("GET", "/ws/metrics", None), ("POST", "/v1/profiles/sessions/events", event)):
        assert server.http(method, path, body, key=None)[0] == 401
        assert server.http(method, path, body, key="fk_wrong")[0] == 401
        assert server.http(method, path, body, token=ticket("ada", "http-1"))[0] == 403
        assert server.http(method, path, body, key=KEY)[0] == 200
