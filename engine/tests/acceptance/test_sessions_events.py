"""Live sessions of a group: what happens in them, from the first event to the last."""

import uuid

import pytest
from conftest import Server, eventually
from test_sessions import PROFILE, enter, place, ticket


# What some types need beside a session.
DATA = {
    "technique.changed": {"title": "4-7-8"},
    "group_achievement": {"title": "T", "description": "D", "badge_url": "U", "rarity": "rare"},
    "vote.opened": {"techniques": ["a", "b"]},
}


def tell(server, session, kind, status=200, **more):
    """What the backend has to say about a session."""
    return server.event("sessions", {"type": kind, "session_id": session, **more}, status)


def start(server, session, **data):
    tell(server, session, "session.started", data={"title": "Morning", **data})


def quiet(client, *kinds):
    """Nothing of these types was sent to it before what it asks for now."""
    client.send({"type": "heartbeat"})
    client.silent(kinds, lambda: "heartbeat_ack")


def test_a_session_is_told_from_its_start_to_its_end(server):
    with enter(server, "life-1", "ada") as ada, enter(server, "life-1", "ina", "instructor") as ina:
        start(server, "life-1", instructor_name="Ina", technique="Box Breathing", duration=600)
        tell(server, "life-1", "technique.changed", data={"title": "4-7-8", "instruction": "Breathe in", "duration": 120})
        tell(server, "life-1", "hrv.milestone", data={"message": "Well done", "badge": "calm-1"})
        summary = {"duration": 600, "techniques": ["Box Breathing", "4-7-8"]}
        tell(server, "life-1", "session.ending", data={"summary": summary})
        for client in (ada, ina):
            started = client.until("session_started")
            assert started["session_id"] == "life-1" and started["timestamp"].endswith("Z")
            assert started["content"]["instructor"] == "Ina"
            changed = client.until("technique_changed")["content"]
            assert changed == {"title": "4-7-8", "instruction": "Breathe in", "duration": 120}
            assert client.until("hrv_milestone")["content"] == {"message": "Well done", "badge": "calm-1"}
            assert client.until("session_ending")["content"]["summary"] == summary
            assert client.ended()[0] == 1000


def test_a_session_starts_once(server):
    start(server, "once-1")
    assert tell(server, "once-1", "session.started", 409)["code"] == 4014
    tell(server, "once-1", "session.ending")
    assert tell(server, "once-1", "session.started", 400, data={"techniques": ["alone"]})["details"]["field"] == "data.techniques"
    start(server, "once-1")


def test_a_start_that_is_refused_does_nothing(server):
    with enter(server, "twice-1", "ada") as ada:
        start(server, "twice-1")
        ada.until("session_started")
        again = tell(server, "twice-1", "session.started", 409, data={"techniques": ["a", "b"]})
        assert (again["code"], again["details"]["field"]) == (4014, "session_id")
        for bad in (["a"], ["a", "a"], ["a", ""], ["a", 5], "ab"):
            field = tell(server, "twice-2", "session.started", 400, data={"techniques": bad})["details"]["field"]
            assert field in ["data.techniques", "data.techniques[]"], bad
        start(server, "twice-2")
        quiet(ada, "vote_opened", "session_started")


def test_a_session_starts_also_where_a_vote_was_open_before(server):
    with enter(server, "vote-first", "ada") as ada:
        tell(server, "vote-first", "vote.opened", data={"techniques": ["a", "b"]})
        start(server, "vote-first", techniques=["c", "d"])
        ada.until("session_started")
        ada.send({"type": "technique_vote", "data": {"technique": "c"}})
        assert ada.until("vote_update")["content"]["votes"] == {"c": 1, "d": 0}


def test_other_sessions_hear_nothing_of_it(server):
    with enter(server, "apart-1", "ada") as ada, enter(server, "apart-2", "ben") as ben:
        tell(server, "apart-1", "technique.changed", data={"title": "4-7-8"})
        ada.until("technique_changed")
        quiet(ben, "technique_changed", "participant_joined")


def test_a_milestone_of_one_user_is_told_to_that_one_alone(server):
    with enter(server, "one-1", "ada") as ada, enter(server, "one-1", "ben") as ben:
        tell(server, "one-1", "hrv.milestone", user_id="ada", data={"message": "Well done"})
        assert ada.until("hrv_milestone")["content"] == {"message": "Well done"}
        quiet(ben, "hrv_milestone")


def test_what_is_one_users_stays_in_the_session_and_goes_to_nobody_without_a_user(server):
    with enter(server, "own-1", "ada") as ada, enter(server, "own-2", "ada") as elsewhere, enter(server, "own-1", "ben") as ben:
        for nobody in ("", None, 5):
            assert tell(server, "own-1", "hrv.milestone", 400, user_id=nobody, data={"message": "x"})["details"]["field"] == "user_id"
        tell(server, "own-1", "hrv.milestone", user_id="ada", data={"message": "Well done"})
        told = ada.until("hrv_milestone")
        assert (told["session_id"], told["content"]) == ("own-1", {"message": "Well done"}) and told["message_id"]
        quiet(elsewhere, "hrv_milestone")
        quiet(ben, "hrv_milestone")
        token = ticket("eve", "own-1")
        with server.open("/v1/ws", token) as native:
            room = "session.own:" + "0" * 8
            native.send({"type": "join", "id": 1, "room": room})
            assert native.until("error")["code"] == 4013, "another's is closed by the engine's own wire"


def test_what_other_profiles_say_to_users_is_not_passed_on():
    with Server("sessions", "pipeline") as server, enter(server, "mixed-1", "ada") as ada:
        server.event("pipeline", {"type": "system_status", "user_id": "ada", "data": {}})
        server.event("pipeline", {"type": "security_alert", "role": "participant", "data": {}})
        server.http("POST", "/v1/operations", {"operation_id": "job", "kind": "pipeline", "user_id": "ada"}, status=200)
        tell(server, "mixed-1", "technique.changed", data={"title": "4-7-8"})
        assert ada.receive()["type"] == "technique_changed"


def test_every_message_of_a_session_names_it_and_has_an_id(server):
    with enter(server, "ids-1", "ina", "instructor") as ina:
        start(server, "ids-1", techniques=["a", "b"])
        with server.open(place("ids-1", "ada"), ticket("ada", "ids-1")) as ada:
            ada.send({"type": "technique_vote", "data": {"technique": "a"}})
            ada.send({"type": "technique_feedback", "data": {"technique": "a", "rating": 5}})
            told = [ada.until(kind) for kind in ("welcome", "vote_update", "feedback_received")]
            ada.send({"type": "heartbeat"})
            told.append(ada.until("heartbeat_ack"))
        told += [ina.until(kind) for kind in ("participant_joined", "technique_feedback", "participant_left")]
        for message in told:
            assert message["session_id"] == "ids-1" and message["message_id"], message
        assert len({message["message_id"] for message in told}) == len(told)


def test_answers_that_are_flushed_at_once_have_ids_of_their_own(server):
    with enter(server, "ids-2", "ada") as ada:
        for _ in range(5):
            ada.send({"type": "technique_feedback", "data": {"technique": "a", "rating": 5}})
        for _ in range(3):
            ada.send({"type": "heartbeat"})
        told = []
        while len(told) < 8:
            told += [message for message in [ada.receive()] if message["type"] in ("feedback_received", "heartbeat_ack")]
        ids = {message["message_id"] for message in told}
        assert len(ids) == len(told) and {uuid.UUID(each).version for each in ids} == {4}


def test_feedback_before_the_first_technique_is_taken(server):
    """The application's page sends what it shows: nothing, until a technique was told."""
    with enter(server, "first-1", "ada") as ada, enter(server, "first-1", "ina", "instructor") as ina:
        ada.send({"type": "technique_feedback", "data": {"technique": "", "rating": 4}})
        assert ada.until("feedback_received")["content"] == {"technique": "", "rating": 4}
        assert ina.until("technique_feedback")["content"]["technique"] == ""
        ada.send({"type": "technique_feedback", "data": {"rating": 4}})
        assert ada.until("error")["details"]["field"] == "data.technique"


def test_instructors_get_feedback_that_came_while_they_were_away(server):
    with enter(server, "away-1", "ada") as ada:
        enter(server, "away-1", "ina", "instructor").close()
        ada.send({"type": "technique_feedback", "data": {"technique": "4-7-8", "rating": 3}})
        ada.until("feedback_received")
        with server.open(place("away-1", "ina"), ticket("ina", "away-1", "instructor")) as ina:
            assert ina.until("technique_feedback")["content"]["rating"] == 3


def test_the_others_hear_who_comes_and_goes(server):
    with enter(server, "come-1", "ada") as ada:
        with enter(server, "come-1", "ben", "observer"):
            joined = ada.until("participant_joined")["content"]
            assert joined == {"name": "ben", "client_id": "ben", "role": "observer", "participant_count": 2}
        left = ada.until("participant_left")["content"]
        assert (left["name"], left["participant_count"]) == ("ben", 1)


def test_feedback_is_answered_and_reaches_instructors_and_nobody_else(server):
    with enter(server, "feed-1", "ada") as ada, enter(server, "feed-1", "ben") as ben:
        with enter(server, "feed-1", "ina", "instructor") as ina, enter(server, "feed-1", "root", "admin") as root:
            told = {"technique": "Box Breathing", "rating": 4, "timestamp": "2026-11-20T10:30:00.000Z"}
            ada.send({"type": "technique_feedback", "data": told})
            assert ada.until("feedback_received")["content"] == {"technique": "Box Breathing", "rating": 4}
            for client in (ina, root):
                heard = client.until("technique_feedback")
                assert heard["content"] == {**told, "client_id": "ada"}
                assert (heard["user_id"], heard["session_id"]) == ("ada", "feed-1")
            quiet(ben, "technique_feedback")
    kept = server.http("GET", "/v1/rooms/session.feedback:feed-1/history", status=200)["messages"]
    assert [of["data"]["rating"] for of in kept] == [4], "the backend can read it later"


def test_characters_that_hide_text_are_taken_out_of_what_people_read(server):
    with enter(server, "hide-1", "ada") as ada, enter(server, "hide-1", "ina", "instructor") as ina:
        ada.send({"type": "technique_feedback", "data": {"technique": "Box\u202e Breath\u0007ing", "rating": 1}})
        assert ina.until("technique_feedback")["content"]["technique"] == "Box Breathing"
        ina.send({"type": "instructor_message", "data": {"message": "Sit\u202e upright"}})
        assert ada.until("instructor_message")["content"]["message"] == "Sit upright"


@pytest.mark.parametrize(
    ("data", "field"),
    [({"rating": 5}, "data.technique"), ({"technique": "Box"}, "data.rating"), ({"technique": "Box", "rating": "5"}, "data.rating")],
)
def test_feedback_that_lacks_something_names_it(server, data, field):
    with enter(server, "lack-1", "ada") as ada:
        ada.send({"type": "technique_feedback", "data": data})
        error = ada.until("error")
        assert (error["code"], error["message"], error["details"]["field"]) == (4005, "Invalid message format.", field)
        quiet(ada, "feedback_received")


def test_an_achievement_is_for_participants_and_instructors(server):
    roles = ("participant", "instructor", "observer", "admin")
    ada, ina, olga, root = (enter(server, "badge-1", role, role) for role in roles)
    with ada, ina, olga, root:
        badge = {"title": "Together", "description": "Ten minutes", "badge_url": "/badges/10.png", "rarity": "rare"}
        tell(server, "badge-1", "group_achievement", data=badge)
        tell(server, "badge-1", "technique.changed", data={"title": "next"})
        for client in (ada, ina):
            content = client.until("achievement_unlocked")["content"]
            expected = {"title": "Together", "description": "Ten minutes", "badge": "/badges/10.png"}
            assert content == {**expected, "rarity": "rare", "celebration": True}
        for client in (olga, root):
            client.silent(["achievement_unlocked"], lambda: "technique_changed")


def test_an_instructors_message_reaches_all_but_its_sender(server):
    with enter(server, "say-1", "ada") as ada, enter(server, "say-1", "ina", "instructor") as ina:
        ina.send({"type": "instructor_message", "data": {"message": "Sit upright", "instructor_name": "Ina"}})
        heard = ada.until("instructor_message")
        assert heard["user_id"] == "ina", "who it was says the token, not the message"
        content = heard["content"]
        assert (content["from"], content["message"], content["priority"]) == ("Ina", "Sit upright", "normal")
        assert content["timestamp"].endswith("Z")
        quiet(ina, "instructor_message")
        urgent = {"instructor_name": "Ina", "message": "Stop", "priority": "high"}
        tell(server, "say-1", "instructor_message", sender_id="ina", data=urgent)
        assert ada.until("instructor_message")["content"]["priority"] == "high"
        quiet(ina, "instructor_message")


def test_participants_do_not_steer(server):
    with enter(server, "steer-1", "ada") as ada, enter(server, "steer-1", "ben") as ben:
        for message in (
            {"type": "instructor_message", "data": {"message": "I am the instructor"}},
            {"type": "technique.changed", "data": {"title": "mine"}},
            {"type": "session.ending", "data": {}},
            {"type": "vote.opened", "data": {"techniques": ["a", "b"]}},
            {"type": "session_metrics"},
        ):
            ada.send(message)
            answer = ada.until("error")
            assert (answer["code"], answer["message"]) == (4013, "You are not allowed to do this."), message
        quiet(ben, "instructor_message", "technique_changed", "session_ending", "vote_opened")


def test_an_instructor_steers_its_session_and_sees_its_counts(server):
    with enter(server, "lead-1", "ada") as ada, enter(server, "lead-1", "ina", "instructor") as ina:
        ina.send({"type": "technique.changed", "data": {"title": "4-7-8"}})
        assert ada.until("technique_changed")["content"] == {"title": "4-7-8"}
        ina.send({"type": "session_metrics"})
        content = ina.until("session_metrics")["content"]
        assert (content["participant_count"], content["message_count"]) == (2, 1)
        ina.send({"type": "session.ending", "data": {"summary": {"done": True}}})
        for client in (ada, ina):
            assert client.until("session_ending")["content"]["summary"] == {"done": True}
            assert client.ended()[0] == 1000


def test_votes_are_one_for_each_user_and_may_change(server):
    start(server, "vote-1", techniques=["Box Breathing", "4-7-8"])
    with enter(server, "vote-1", "ada") as ada, enter(server, "vote-1", "ben") as ben:
        def vote(client, technique):
            client.send({"type": "technique_vote", "data": {"technique": technique}})
            mine, other = ada.until("vote_update", lambda of: of["content"]["total_votes"])["content"], None
            other = ben.until("vote_update", lambda of: of["content"]["total_votes"])["content"]
            assert mine == other
            return mine["votes"], mine["total_votes"]

        assert vote(ada, "4-7-8") == ({"Box Breathing": 0, "4-7-8": 1}, 1)
        assert vote(ben, "4-7-8") == ({"Box Breathing": 0, "4-7-8": 2}, 2)
        assert vote(ada, "Box Breathing") == ({"Box Breathing": 1, "4-7-8": 1}, 2)
        with enter(server, "vote-1", "cyd") as cyd:
            assert cyd.until("vote_update")["content"]["total_votes"] == 2, "who comes late is told"
        tell(server, "vote-1", "technique_vote", user_id="dan", data={"technique": "4-7-8"})
        assert ben.until("vote_update")["content"]["votes"]["4-7-8"] == 2, "a backend votes for a user"
        tell(server, "vote-1", "vote.closed")
        assert ada.until("vote_closed")["content"]["total_votes"] == 3
        tell(server, "vote-1", "vote.opened", data={"techniques": ["Sitali", "Ujjayi"]})
        assert ada.until("vote_opened")["content"]["techniques"] == ["Sitali", "Ujjayi"]


def test_a_vote_for_what_cannot_be_chosen_is_an_invalid_message(server):
    with enter(server, "vote-2", "ada") as ada:
        ada.send({"type": "technique_vote", "data": {"technique": "4-7-8"}})
        assert ada.until("error")["details"]["field"] == "data.technique"
        start(server, "vote-2", techniques=["Box Breathing", "4-7-8"])
        ada.send({"type": "technique_vote", "data": {"technique": "Sleep"}})
        error = ada.until("error")
        assert (error["code"], error["details"]["field"]) == (4005, "data.technique")
        ada.send({"type": "technique_vote", "data": {}})
        assert ada.until("error")["details"]["field"] == "data.technique"


def test_a_group_in_step_is_told_once_with_its_score(server):
    start(server, "sync-1")
    with enter(server, "sync-1", "ada") as ada, enter(server, "sync-1", "ben") as ben:
        ada.send({"type": "breathing_sync", "data": {"score": 0.95}})
        quiet(ada, "group_sync_achieved")
        ben.send({"type": "breathing_sync", "data": {"score": 0.75}})
        for client in (ada, ben):
            content = client.until("group_sync_achieved")["content"]
            assert abs(content.pop("score") - 0.85) < 1e-9
            expected = {"title": "Perfect Synchronization!", "visual": "sync_celebration"}
            assert content == {**expected, "message": "The group is breathing in perfect harmony"}
        for wrong in (1.5, -1, "0.9", None):
            ada.send({"type": "breathing_sync", "data": {"score": wrong}})
            assert ada.until("error")["code"] == 4005, wrong


def test_a_backend_reports_how_well_users_are_in_step(server):
    start(server, "sync-2")
    with enter(server, "sync-2", "ada") as ada:
        scores = [{"user_id": "ada", "score": 0.5}, {"user_id": "ben", "score": 0.7}]
        tell(server, "sync-2", "breathing_sync", data={"scores": scores})
        quiet(ada, "group_sync_achieved")
        scores = [{"user_id": "ada", "score": 0.9}, {"user_id": "ben", "score": 0.9}]
        tell(server, "sync-2", "breathing_sync", data={"scores": scores})
        assert abs(ada.until("group_sync_achieved")["content"]["score"] - 0.9) < 1e-9


@pytest.mark.parametrize("scores", [[], [{"user_id": "ada", "score": 2}], [{"user_id": "ada", "score": -50}], [{"score": 1}], ["x"]], ids=str)
def test_scores_of_a_backend_are_all_checked_before_any_counts(server, scores):
    session = f"scores-{abs(hash(str(scores)))}"
    with enter(server, session, "ada") as ada:
        start(server, session)
        good = {"user_id": "ada", "score": 1}
        other = {"user_id": "ben", "score": 1}
        events = scores and [good, other, *scores]
        field = tell(server, session, "breathing_sync", 400, data={"scores": events})["details"]["field"]
        assert field.startswith("data.scores")
        assert server.http("GET", f"/v1/rooms/session.group:{session}/scores")[1]["scores"][0]["users"] == 0
        quiet(ada, "group_sync_achieved")


def test_events_of_other_types_have_a_fallback(server):
    with enter(server, "odd-1", "ada") as ada:
        ada.send({"type": "moon_phase", "data": {"phase": "full"}})
        error = ada.until("error")
        assert (error["code"], error["message"]) == (4005, "Invalid message format.")
        for message in ({"data": {}}, {"type": 7}, {"type": "chat.send", "room": "session:odd-1", "data": {"text": "x"}}):
            ada.send(message)
            assert ada.until("error")["code"] == 4005, message
        ada.socket.send("no json")
        assert ada.until("error")["code"] == 4005
        tell(server, "odd-1", "moon.phase", data={"phase": "full"})
        assert ada.until("moon_phase")["content"] == {"phase": "full"}


def test_a_backend_is_told_what_is_wrong_with_an_event(server):
    event = {"type": "technique.changed", "data": {"title": "4-7-8"}}
    assert server.event("sessions", event, 400)["code"] == 4005
    for kind in ["technique.changed", "group_achievement", "vote.opened", "vote.closed", "session.ending", "session.started", "moon.phase"]:
        for session in (None, "", 5, "a b"):
            answer = server.event("sessions", {"type": kind, "session_id": session, "data": DATA.get(kind, {})}, 400)
            assert answer["details"]["field"] == "session_id" and "`room`" not in answer["message"], (kind, session)
    assert server.event("sessions", {**event, "session_id": "a b"}, 400)["code"] == 4005
    assert server.event("sessions", {"session_id": "s", "type": "technique.changed"}, 400)["details"]["field"] == "data.title"
    assert server.event("sessions", {"session_id": "s"}, 400)["code"] == 4005
    assert tell(server, "s", "welcome", 400)["code"] == 4005, "nobody says what only the engine says"
    assert server.http("POST", "/v1/profiles/nothing/events", event)[0] == 404


def test_several_events_come_in_their_order(server):
    with enter(server, "list-1", "ada") as ada:
        events = [{"type": "technique.changed", "session_id": "list-1", "data": {"title": str(number)}} for number in range(100)]
        server.event("sessions", events)
        assert [ada.until("technique_changed")["content"]["title"] for _ in events] == [str(number) for number in range(100)]


def test_who_is_back_in_time_gets_what_was_missed(server):
    with enter(server, "back-1", "ben"):
        with enter(server, "back-1", "ada"):
            pass
        for title in ("first", "second"):
            tell(server, "back-1", "technique.changed", data={"title": title})
        with enter(server, "back-1", "ada") as ada, enter(server, "back-1", "new") as new:
            assert ada.until("technique_changed")["content"]["title"] == "first"
            assert ada.until("technique_changed")["content"]["title"] == "second"
            quiet(ada, "technique_changed")
            quiet(new, "technique_changed")


def test_so_many_messages_wait_and_for_so_long():
    settings = '[profile.sessions]\nmax_queue_size = 3\nreconnection_window = 300\n'
    with Server(PROFILE, config=settings) as server:
        with enter(server, "queue-1", "ben"):
            enter(server, "queue-1", "ada").close()
            for title in "abcde":
                tell(server, "queue-1", "technique.changed", data={"title": title})
            with enter(server, "queue-1", "ada") as ada:
                assert ada.until("messages_missed")["content"]["count"] >= 2
                heard = [ada.until("technique_changed")["content"]["title"] for _ in range(3)]
                assert heard == ["c", "d", "e"]
    with Server(PROFILE, env={"WEBSOCKET_ALLOW_RECONNECTION": "false"}) as server:
        with enter(server, "queue-1", "ben"):
            enter(server, "queue-1", "ada").close()
            tell(server, "queue-1", "technique.changed", data={"title": "gone"})
            with enter(server, "queue-1", "ada") as ada:
                quiet(ada, "technique_changed")


def test_a_message_waits_no_longer_than_it_may_and_for_nobody_who_is_away_too_long():
    with Server(PROFILE, config="[profile.sessions]\nqueue_ttl = 1\n") as server, enter(server, "old-1", "ben"):
        enter(server, "old-1", "ada").close()
        tell(server, "old-1", "technique.changed", data={"title": "stale"})
        kept = "/v1/rooms/session:old-1/history"
        assert server.http("GET", kept)[1]["messages"]
        eventually("it is too old", lambda: not server.http("GET", kept)[1]["messages"])
        with enter(server, "old-1", "ada") as ada:
            quiet(ada, "technique_changed")
    with Server(PROFILE, config='[profile.sessions]\nreconnection_window = "1s"\n') as server, enter(server, "old-2", "ben"):
        enter(server, "old-2", "ada").close()
        tell(server, "old-2", "technique.changed", data={"title": "missed"})

        def known():
            return [of["user_id"] for of in server.http("GET", "/v1/rooms/session:old-2/receipts")[1]["readers"]]

        assert sorted(known()) == ["ada", "ben"]
        eventually("ada is forgotten", lambda: known() == ["ben"])
        with enter(server, "old-2", "ada") as ada:
            quiet(ada, "technique_changed")


def test_the_greeting_comes_first_whatever_happens(server):
    with enter(server, "first-1", "ina", "instructor") as ina:
        for number in range(20):
            with server.open(place("first-1", f"u{number}"), ticket(f"u{number}", "first-1")) as client:
                tell(server, "first-1", "technique.changed", data={"title": str(number)})
                assert client.receive()["type"] == "welcome"
        ina.until("technique_changed", lambda of: of["content"]["title"] == "19")
