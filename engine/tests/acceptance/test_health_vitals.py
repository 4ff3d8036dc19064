"""A health application's readings: live for the person and who cares for it, with thresholds, alerts and recoveries."""

import pytest
from conftest import ROOT, token
from health_client import HealthClient

PROFILE = str(ROOT / "engine/profile/profiles/health.toml")
FORBIDDEN, INVALID, NOT_FOUND = 4013, 4005, 4002


def backend(server, kind, **data):
    return server.event("health", {"type": kind, "data": data})


@pytest.fixture
def ada(server, request):
    """A person of this test's own, whose doctor and son are let in; and somebody who is not."""
    name = f"ada-{request.node.name[:40]}"
    carers = [f"{name}-doctor", f"{name}-son"]
    backend(server, "person_registered", user_id=name, carers=carers)
    for other in [*carers, f"{name}-stranger", f"{name}-operator"]:
        backend(server, "person_registered", user_id=other)
    return name


def opened(server, user, role="user", path="/ws/health"):
    """A client that has been told how it stands with its own readings."""
    client = HealthClient.at(server, path, token(user, role))
    client.snapshot = client.until("health_snapshot")["data"]
    return client


def threshold(server, ada, **more):
    rule = {"threshold_id": "high", "metric": "heart_rate", "limit": "above", "value": 120, "hysteresis": 10}
    return backend(server, "threshold_set", user_id=ada, **{**rule, **more})


def test_readings_reach_all_of_the_persons_devices_and_who_subscribed(server, ada):
    with (
        opened(server, ada) as phone,
        opened(server, ada, path="/ws/combined") as watch,
        opened(server, f"{ada}-doctor", "provider", "/ws/combined") as doctor,
    ):
        assert phone.snapshot == {"user_id": ada, "recovered": False, "metrics": {}, "thresholds": []}
        subscribed = doctor.ask("subscribe", "subscribed", topic=f"vitals:{ada}")
        assert subscribed["topic"] == f"vitals:{ada}"
        assert doctor.until("health_snapshot")["data"] == {"user_id": ada, "metrics": {}, "thresholds": []}
        received = watch.ask("health_data", "health_data_received", metrics={"heart_rate": 71, "spo2": 98.5})
        assert received == {"user_id": ada, "accepted": 2}
        for client in (phone, watch, doctor):
            message = client.until("health_data")
            assert message["data"]["user_id"] == ada and message["timestamp"]
            assert message["data"]["metrics"]["heart_rate"]["value"] == 71
            assert message["data"]["metrics"]["spo2"]["value"] == 98.5
        backend(server, "health_data", user_id=ada, metrics={"heart_rate": 74})
        doctor.until("health_data", lambda told: told["data"]["metrics"]["heart_rate"]["value"] == 74)
        assert doctor.ask("unsubscribe", "unsubscribed", topic=f"vitals:{ada}")["topic"] == f"vitals:{ada}"
        phone.send("health_data", metrics={"heart_rate": 75})
        watch.until("health_data", lambda told: told["data"]["metrics"]["heart_rate"]["value"] == 75)
        doctor.socket.silent({"health_data"}, lambda: doctor.send("heartbeat") or "heartbeat_ack")


def test_a_threshold_alerts_once_and_recovers_beyond_its_hysteresis(server, ada):
    with opened(server, ada) as phone, opened(server, f"{ada}-doctor", "provider") as doctor:
        doctor.ask("subscribe", "subscribed", topic=f"vitals:{ada}")
        saved = threshold(server, ada, severity="critical", message="Heart rate is too high")
        assert saved["type"] == "threshold_saved" and saved["data"]["status"] == "ok"
        changed = phone.until("threshold_changed")["data"]
        assert (changed["metric"], changed["limit"], changed["value"]) == ("heart_rate", "above", 120)
        for rate in (119, 131, 140, 115, 105):
            phone.send("health_data", metrics={"heart_rate": rate})
        for client in (phone, doctor):
            alert = client.until("health_alert")
            data = alert["data"]
            assert (data["user_id"], data["threshold_id"], data["metric"]) == (ada, "high", "heart_rate")
            assert (data["value"], data["severity"], alert["priority"]) == (131, "critical", 9)
            assert data["message"] == "Heart rate is too high" and data["since"] and alert["message_id"]
            after = client.until("health_recovered")
            # 140 is no second alert, and 115 is no recovery.
            assert after["data"]["value"] == 105 and after["offset"] == alert["offset"] + 1
        backend(server, "threshold_remove", user_id=ada, threshold_id="high")
        assert phone.until("threshold_removed")["data"] == {"user_id": ada, "threshold_id": "high"}
        assert phone.ask("health_sync", "health_snapshot")["thresholds"] == []


def test_who_comes_later_is_brought_up_to_date(server, ada):
    threshold(server, ada)
    with opened(server, ada) as phone:
        phone.ask("health_data", "health_data_received", metrics={"heart_rate": 131})
        with opened(server, f"{ada}-doctor", "provider", "/ws/combined") as doctor:
            synced = doctor.ask("health_sync", "health_snapshot", user_id=ada)
            assert synced["metrics"]["heart_rate"]["value"] == 131
            assert synced["thresholds"][0]["status"] == "alerting" and synced["thresholds"][0]["since"]
            doctor.send("subscribe", topic=f"vitals:{ada}")
            assert doctor.until("health_snapshot")["data"]["thresholds"][0]["threshold_id"] == "high"
    with opened(server, ada) as phone:
        assert phone.snapshot["metrics"]["heart_rate"]["value"] == 131


def test_alerts_wait_for_who_is_away(server, ada):
    threshold(server, ada)
    opened(server, ada).close()
    backend(server, "health_data", user_id=ada, metrics={"heart_rate": 140})
    backend(server, "health_data", user_id=ada, metrics={"heart_rate": 80})
    with opened(server, ada) as phone:
        assert phone.until("health_alert")["data"]["value"] == 140
        assert phone.until("health_recovered")["data"]["value"] == 80


def test_a_person_of_any_name_has_readings(server):
    name = "auth0|jörg 7=x"
    backend(server, "person_registered", user_id=name, carers=["any-doctor"])
    backend(server, "person_registered", user_id="any-doctor")
    with opened(server, name, path="/ws/combined") as phone, opened(server, "any-doctor") as doctor:
        assert phone.snapshot["user_id"] == name
        subscribed = doctor.ask("subscribe", "subscribed", user_id=name)
        phone.ask("health_data", "health_data_received", metrics={"pulse": 61})
        told = doctor.until("health_data")
        assert told["data"]["user_id"] == name and told["topic"] == subscribed["topic"]
        assert doctor.ask("unsubscribe", "unsubscribed", topic=told["topic"])["topic"] == told["topic"]
        phone.ask("conversation_create", "conversation_created", conversation_id="über mich")
        phone.ask("chat_message", "chat_message_sent", conversation_id="über mich", text="hello")
        assert phone.until("chat_message")["data"]["conversation_id"] == "über mich"


def test_many_readings_are_told_together(server, ada):
    with opened(server, ada) as phone:
        count = 60
        for number in range(count):
            phone.send("health_data", metrics={"steps": number})
        told = 0
        while True:
            message = phone.receive()
            if message["type"] == "health_data":
                told += 1
                if message["data"]["metrics"]["steps"]["value"] == count - 1:
                    break
        assert told < count, "ten a second at most, the newest of each"


def test_readings_that_come_late_count_in_their_order(server, ada):
    with opened(server, ada) as phone:
        ask = lambda rate, at: phone.ask("health_data", "health_data_received", metrics={"pulse": rate}, measured_at=at)
        assert ask(70, "2026-01-01T10:00:00Z")["accepted"] == 1
        assert ask(60, "2026-01-01T09:00:00Z")["accepted"] == 0
        assert phone.ask("health_sync", "health_snapshot")["metrics"]["pulse"]["value"] == 70


def test_only_who_was_let_in_sees_readings_and_who_only_cares_reports_none(server, ada):
    for path in ("/ws/health", "/ws/combined"):
        with opened(server, f"{ada}-stranger", path=path) as stranger:
            for kind, data in [
                ("subscribe", {"topic": f"vitals:{ada}"}),
                ("health_sync", {"user_id": ada}),
                ("health_data", {"user_id": ada, "metrics": {"heart_rate": 300}}),
            ]:
                assert stranger.refused(kind, **data)["code"] == FORBIDDEN, kind
    with opened(server, f"{ada}-son", "caregiver") as son:
        son.ask("subscribe", "subscribed", topic=f"vitals:{ada}")
        assert son.refused("health_data", user_id=ada, metrics={"heart_rate": 1})["code"] == FORBIDDEN
        assert son.ask("health_sync", "health_snapshot", user_id=ada)["metrics"] == {}
    with opened(server, f"{ada}-doctor", "provider") as doctor:
        assert doctor.ask("health_data", "health_data_received", user_id=ada, metrics={"weight": 70})["accepted"] == 1
    # The engine's own protocol opens no back door.
    with server.open("/v1/ws", token=token(f"{ada}-stranger")) as native:
        native.send({"type": "join", "id": 1, "room": f"vitals:{ada}"})
        assert native.until("error")["code"] == FORBIDDEN
        native.send({"type": "room.create", "id": 2, "room": "vitals:somebody", "data": {}})
        assert native.until("error")["code"] == FORBIDDEN


def test_thresholds_are_set_by_backends_and_operators_only(server, ada):
    rule = {"user_id": ada, "threshold_id": "low", "metric": "spo2", "limit": "below", "value": 90}
    for user, role in [(ada, "user"), (f"{ada}-doctor", "provider"), (f"{ada}-son", "caregiver")]:
        with opened(server, user, role, "/ws/combined") as client:
            assert client.refused("threshold_set", **rule)["code"] == FORBIDDEN, role
    with opened(server, f"{ada}-operator", "admin", "/ws/combined") as operator:
        assert operator.ask("threshold_set", "threshold_saved", **rule)["threshold_id"] == "low"


def test_who_does_not_care_any_more_is_sent_away_and_told(server, ada):
    with opened(server, ada) as phone, opened(server, f"{ada}-doctor", "provider") as doctor:
        doctor.ask("subscribe", "subscribed", topic=f"vitals:{ada}")
        backend(server, "carer_removed", user_id=ada, carer_id=f"{ada}-doctor")
        removed = doctor.until("topic_removed")["data"]
        assert removed["topic"] == f"vitals:{ada}" and removed["reason"]
        phone.ask("health_data", "health_data_received", metrics={"heart_rate": 99})
        doctor.socket.silent({"health_data"}, lambda: doctor.send("heartbeat") or "heartbeat_ack")
        assert doctor.refused("subscribe", topic=f"vitals:{ada}")["code"] == FORBIDDEN
        backend(server, "carer_added", user_id=ada, carer_id=f"{ada}-doctor")
        doctor.ask("subscribe", "subscribed", topic=f"vitals:{ada}")
        backend(server, "person_removed", user_id=ada)
        for client in (phone, doctor):
            assert client.until("topic_closed")["data"]["topic"] == f"vitals:{ada}"


def test_readings_and_thresholds_of_the_wrong_form_are_refused_by_their_field(server, ada):
    with opened(server, ada) as phone:
        for metrics in ({}, {"heart_rate": "fast"}, {"a b": 1}, {f"m{n}": n for n in range(65)}):
            assert phone.refused("health_data", metrics=metrics)["code"] == INVALID, metrics
        assert phone.refused("health_data", metrics={"pulse": 1}, measured_at="yesterday")["details"]["field"] == "data.measured_at"
        assert phone.refused("health_data", metrics={"pulse": 1}, user_id="a b/\n")["code"] == FORBIDDEN
    for wrong, field in [
        ({"limit": "over"}, "limit"),
        ({"value": "high"}, "value"),
        ({"severity": "bad"}, "severity"),
        ({"metric": "a b"}, "data.metric"),
        ({"for_seconds": -1}, "for_seconds"),
    ]:
        event = {"user_id": ada, "threshold_id": "x", "metric": "pulse", "limit": "above", "value": 1, **wrong}
        code, error = server.http("POST", "/v1/profiles/health/events", {"type": "threshold_set", "data": event})
        assert code == 400 and field in error["details"]["field"], (wrong, error)
    code, error = server.http("POST", "/v1/profiles/health/events", {"type": "health_data", "data": {"metrics": {"x": 1}}})
    assert code == 400 and "user_id" in error["details"]["field"], error


def test_what_nobody_asked_for_is_not_refused_and_what_cannot_be_says_why(server, ada):
    with HealthClient.at(server, "/ws/health", token(f"{ada}-carer", "caregiver")) as carer:
        carer.send("heartbeat")
        assert carer.socket.receive()["type"] == "heartbeat_ack", "a carer has no readings, and asked for none"
        for kind, data in [
            ("subscribe", {}),
            ("subscribe", {"topic": "nope"}),
            ("subscribe", {"topics": [f"vitals:{ada}"]}),
            ("unsubscribe", {}),
            ("unsubscribe", {"topic": "nope"}),
        ]:
            assert carer.refused(kind, **data)["details"]["field"] == "data.topic", (kind, data)
    with opened(server, ada) as phone:
        phone.ask("health_data", "health_data_received", metrics={"pulse": 60}, measured_at="2026-01-02T00:00:00Z")
        late = phone.ask("health_data", "health_data_received", metrics={"pulse": 99}, measured_at="2026-01-01T00:00:00Z")
        assert late["accepted"] == 0 and "newer" in late["reason"]


def test_a_refused_registration_makes_nothing_and_a_repeated_one_lets_new_carers_in(server, request):
    name = f"ben-{request.node.name[:40]}"
    for user_id, carers, field in [(name, [7], "data.carers[]"), (name, [""], "data.carers[]"), ("", [], "data.user_id")]:
        event = {"type": "person_registered", "data": {"user_id": user_id, "carers": carers}}
        assert server.event("health", event, status=400)["details"]["field"] == field
    made = backend(server, "person_registered", user_id=name, carers=["nurse"])["done"]
    assert "code" not in made[0], "it is made only now"
    again = backend(server, "person_registered", user_id=name, carers=["doctor"])["done"]
    assert (again[0]["code"], again[0]["details"]["field"]) == (4014, "data.user_id")
    with HealthClient.at(server, "/ws/health", token("doctor", "provider")) as doctor:
        assert doctor.ask("subscribe", "subscribed", user_id=name)["topic"] == f"vitals:{name}"
    with HealthClient.at(server, "/ws/health", token("nurse", "provider")) as nurse:
        assert nurse.ask("subscribe", "subscribed", user_id=name)["topic"] == f"vitals:{name}"


def test_refusals_name_what_was_sent(server, ada):
    with opened(server, ada, path="/ws/combined") as client:
        for kind, data, field, words in [
            ("health_data", {"metrics": {"hr": "x"}}, "data.metrics", "`data.metrics"),
            ("subscribe", {"topic": "vitals:a b"}, "data.topic", "`data.topic`"),
            ("subscribe", {"user_id": "x" * 200}, "data.user_id", "`data.user_id`"),
            ("unsubscribe", {"topic": "vitals:a b"}, "data.topic", "`data.topic`"),
            ("chat_history", {"conversation_id": "c", "after": 1}, "data.epoch", "`data.epoch`"),
            ("notification_preferences", {"quiet_hours": {"from": "x"}}, "data.quiet_hours.from", "`data.quiet_hours.from`"),
        ]:
            error = client.refused(kind, **data)
            assert error["details"]["field"].startswith(field) and words in error["message"], (kind, error)
