"""A health application's notifications: of every kind, by priority, as each user wants them, until they are read."""

from datetime import datetime, timedelta, timezone

import pytest
from conftest import ROOT, token
from health_client import HealthClient

PROFILE = str(ROOT / "engine/profile/profiles/health.toml")
FORBIDDEN, INVALID, NOT_FOUND = 4013, 4005, 4002


def opened(server, user, path="/ws/notifications", role="user"):
    return HealthClient.at(server, path, token(user, role))


def notify(server, **data):
    answer = server.event("health", {"type": "notification", "data": data})
    assert answer["type"] == "notification_sent"
    return answer["data"]


@pytest.fixture
def user(request):
    return f"u-{request.node.name[:50]}"


def test_each_kind_is_told_at_once_with_its_priority(server, user):
    with opened(server, user) as phone, opened(server, user, "/ws/combined") as watch:
        for kind, priority in [("health_alert", 9), ("medication_reminder", 7), ("appointment", 6), ("news", 5)]:
            sent = notify(server, user_id=user, type=kind, title=f"About {kind}", body="More of it", data={"id": 7})
            assert sent["notification_id"] and sent["targets"] == 1
            for client in (phone, watch):
                told = client.until("notification")["data"]
                assert (told["notification_id"], told["type"], told["priority"]) == (sent["notification_id"], kind, priority)
                assert (told["title"], told["body"], told["data"]) == (f"About {kind}", "More of it", {"id": 7})
                assert told["acknowledged"] is False and told["to"] == "user"
        for word, priority in [("low", 2), ("normal", 5), ("high", 7), ("urgent", 9), (0, 0), (3, 3)]:
            notify(server, user_id=user, type="appointment", title="By its priority", priority=word)
            assert phone.until("notification")["data"]["priority"] == priority


def test_what_a_reminder_brings_along_reaches_the_user(server, user):
    with opened(server, user) as phone:
        actions = [{"id": "taken", "label": "Taken"}, {"id": "later", "label": "In an hour", "url": "/medication/7"}]
        notify(server, user_id=user, type="medication_reminder", title="Time for your medication", severity="warning", actions=actions, ttl_seconds=3600)
        told = phone.until("notification")["data"]
        assert told["actions"] == actions and told["severity"] == "warning" and told["expires_at"]


def test_what_comes_while_a_user_is_away_waits_the_most_urgent_first(server, user):
    for kind in ("news", "health_alert", "medication_reminder"):
        notify(server, user_id=user, type=kind, title=kind)
    with opened(server, user) as phone:
        waiting = phone.until("notifications")["data"]
        assert [one["type"] for one in waiting["notifications"]] == ["health_alert", "medication_reminder", "news"]
        assert waiting["unread"] == 3 and waiting["more"] is False


def test_what_is_acknowledged_or_dismissed_is_so_on_every_device(server, user):
    first, second, third = (notify(server, user_id=user, type="appointment", title=f"{n}")["notification_id"] for n in range(3))
    with opened(server, user) as phone, opened(server, user, "/ws/combined") as watch:
        phone.send("notification_ack", notification_id=first)
        for client in (phone, watch):
            assert client.until("notification_acknowledged")["data"]["notification_id"] == first
        watch.send("notification_dismiss", notification_id=second)
        for client in (phone, watch):
            assert client.until("notification_dismissed")["data"]["notification_id"] == second
        listed = phone.ask("notification_list", "notification_list")
        assert {one["notification_id"]: one["acknowledged"] for one in listed["notifications"]} == {first: True, third: False}
        unread = phone.ask("notification_list", "notification_list", unread_only=True)
        assert [one["notification_id"] for one in unread["notifications"]] == [third] and unread["unread"] == 1
        phone.send("notification_ack", all=True)
        assert watch.until("notification_acknowledged")["data"]["all"] is True
        assert phone.ask("notification_list", "notification_list")["unread"] == 0
        assert phone.refused("notification_ack", notification_id="nothing")["code"] == NOT_FOUND
    with opened(server, user) as phone:
        phone.socket.silent({"notifications"}, lambda: phone.send("heartbeat") or "heartbeat_ack")


def test_a_user_says_what_it_wants_to_be_sent(server, user):
    with opened(server, user) as phone:
        usual = phone.ask("notification_preferences", "notification_preferences")
        assert (usual["types_muted"], usual["minimum_priority"], usual["urgent_priority"]) == ([], 0, 8)
        wanted = {"types_muted": ["news"], "minimum_priority": "normal", "quiet_hours": {"from": "22:00", "to": "22:00"}}
        saved = phone.ask("notification_preferences", "notification_preferences", **wanted)
        assert (saved["types_muted"], saved["minimum_priority"]) == (["news"], 5)
        notify(server, user_id=user, type="news", title="muted", priority="high")
        notify(server, user_id=user, type="appointment", title="too low", priority="low")
        notify(server, user_id=user, type="appointment", title="wanted", priority="normal")
        assert phone.until("notification")["data"]["title"] == "wanted"
        notify(server, user_id=user, type="news", title="urgent", priority="urgent")
        assert phone.until("notification")["data"]["title"] == "urgent", "what is urgent passes"
        listed = phone.ask("notification_list", "notification_list")
        assert {one["title"] for one in listed["notifications"]} == {"muted", "too low", "wanted", "urgent"}, "nothing is lost"
        for wrong in ({"minimum_priority": "lots"}, {"minimum_priority": 10}, {"quiet_hours": {"from": "22"}}, {"types_muted": "news"}):
            assert phone.refused("notification_preferences", **wrong)["code"] == INVALID, wrong
        # A set is replaced as a whole, so a word that is misspelt must not make it empty.
        assert phone.refused("notification_preferences", type_muted=["x"])["code"] == INVALID
        kept = phone.ask("notification_preferences", "notification_preferences")
        assert (kept["minimum_priority"], kept["types_muted"]) == (5, ["news"])
    with opened(server, user, "/ws/combined") as later:
        assert later.ask("notification_preferences", "notification_preferences")["types_muted"] == ["news"]


def test_quiet_hours_hold_back_what_is_not_urgent(server, user):
    with opened(server, user) as phone:
        # All day but one minute, and that one is twelve hours from now.
        off = datetime.now(timezone.utc) + timedelta(hours=12)
        until = (off + timedelta(minutes=1)).strftime("%H:%M")
        phone.ask("notification_preferences", "notification_preferences", quiet_hours={"from": until, "to": off.strftime("%H:%M")})
        notify(server, user_id=user, type="appointment", title="tomorrow")
        notify(server, user_id=user, type="health_alert", title="now")
        assert phone.until("notification")["data"]["title"] == "now"
        assert phone.ask("notification_list", "notification_list")["unread"] == 2


def test_several_a_role_and_everybody_are_reached(server, user):
    people = [f"{user}-{n}" for n in range(3)]
    clients = [opened(server, person, role="nurse" if n == 0 else "user") for n, person in enumerate(people)]
    for client in clients:
        client.ask("heartbeat", "heartbeat_ack")
    assert notify(server, user_ids=people[:2], type="appointment", title="two of you")["targets"] == 2
    assert notify(server, role="nurse", type="news", title="nurses")["targets"] == 1
    assert notify(server, all=True, type="news", title="everybody")["targets"] == 1
    expected = [["two of you", "nurses", "everybody"], ["two of you", "everybody"], ["everybody"]]
    for client, titles in zip(clients, expected):
        told = [client.until("notification")["data"]["title"] for _ in titles]
        assert told == titles
        client.close()


def test_one_that_is_withdrawn_is_gone(server, user):
    with opened(server, user) as phone:
        sent = notify(server, user_id=user, type="appointment", title="Monday at nine")["notification_id"]
        phone.until("notification")
        server.event("health", {"type": "notification_withdraw", "data": {"notification_id": sent, "user_id": user}})
        assert phone.until("notification_withdrawn")["data"]["notification_id"] == sent
        listed = phone.ask("notification_list", "notification_list")["notifications"]
        assert sent not in [one["notification_id"] for one in listed]


def test_a_retry_of_a_backend_is_sent_once(server, user):
    with opened(server, user) as phone:
        for _ in range(3):
            notify(server, user_id=user, type="appointment", title="once", notification_id=f"{user[:40]}-7")
        notify(server, user_id=user, type="appointment", title="next")
        assert [phone.until("notification")["data"]["title"] for _ in range(2)] == ["once", "next"]


def test_nobody_but_a_backend_sends_and_everybody_reads_only_its_own(server, user):
    with opened(server, user, "/ws/combined") as client:
        for kind in ("notification", "notification_withdraw", "notification.send"):
            error = client.refused(kind, user_id="ada", type="news", title="spam", notification_id="x")
            assert error["code"] in (INVALID, NOT_FOUND), (kind, error)
        notify(server, user_id=f"{user}-other", type="health_alert", title="private")
        listed = client.ask("notification_list", "notification_list", user_id=f"{user}-other")
        assert all(one["title"] != "private" for one in listed["notifications"])


def test_what_cannot_be_sent_is_refused_by_its_field(server, user):
    good = {"user_id": user, "type": "appointment", "title": "x"}
    for wrong, field in [
        ({"title": ""}, "title"),
        ({"type": "a b"}, "type"),
        ({"priority": "most"}, "priority"),
        ({"priority": 10}, "priority"),
        ({"severity": "deadly"}, "severity"),
        ({"user_id": None}, "user_id"),
        ({"role": "nurse"}, "user_id"),
        ({"expires_at": "soon"}, "expires_at"),
        ({"actions": [{"id": "x", "label": "x", "url": "javascript:alert(1)"}]}, "url"),
        ({"data": "text"}, "data"),
    ]:
        data = {name: value for name, value in {**good, **wrong}.items() if value is not None}
        code, error = server.http("POST", "/v1/profiles/health/events", {"type": "notification", "data": data})
        assert code == 400 and field in error["details"]["field"], (wrong, code, error)


def test_readings_and_conversations_do_not_come_here(server, user):
    server.event("health", {"type": "person_registered", "data": {"user_id": user}})
    with opened(server, user) as phone, opened(server, user, "/ws/chat") as chat, opened(server, user, "/ws/health") as watch:
        watch.until("health_snapshot")
        watch.ask("health_data", "health_data_received", metrics={"pulse": 60})
        watch.until("health_data")
        chat.ask("conversation_create", "conversation_created", conversation_id=f"c-{user[:40]}")
        notify(server, user_id=user, type="news", title="here only")
        assert phone.until("notification")["data"]["title"] == "here only"
        strange = {"health_data", "health_snapshot", "chat_message", "conversation_joined"}
        phone.socket.silent(strange, lambda: phone.send("heartbeat") or "heartbeat_ack")
        for other in (chat, watch):
            other.socket.silent({"notification", "notifications"}, lambda: other.send("heartbeat") or "heartbeat_ack")
