"""What the scheduler keeps: history, what waits for who is away, acknowledgements, notifications; and that no patient is named in any log."""

import datetime
import json
import pathlib
import shutil
import tempfile
import urllib.request

import pytest
from conftest import KEY, PATIENCE, Server, eventually, token
from surgery_play import CONFLICT, EMERGENCY, NOTIFICATION, OPTIMIZATION, PATH, PROFILE, SCHEDULE, enter, heard, post, settle

INVALID, FORBIDDEN, NOT_FOUND = 4005, 4013, 4002


def update(number):
    return {**SCHEDULE, "data": {**SCHEDULE["data"], "surgery_id": number}}


def numbers(messages):
    return [message["data"]["surgery_id"] for message in messages if message["type"] == "schedule_update"]


def history(client, **data):
    client.send({"type": "message_history", "data": data})
    return client.until("message_history")["data"]


def notify(server, status=200, **body):
    return server.http("POST", "/api/ws/notify/system", {**NOTIFICATION["data"], **body}, status=status)


# --------------------------------------------------------------------------------------------------------------- history


def test_messages_are_kept_and_can_be_replayed_from_a_place(server):
    with enter(server, "1") as client:
        start = history(client, limit=1, reverse=True)
        for number in (1, 2, 3):
            post(server, update(number))
        since = {"epoch": start["epoch"], "offset": start["offset"]}
        missed = history(client, since=since)
        assert numbers(missed["messages"]) == [1, 2, 3]
        first = missed["messages"][0]
        assert first["user_id"] == 1 and first["data"] == update(1)["data"] and first["timestamp"].endswith("Z")
        assert numbers(history(client, since=since, limit=2)["messages"]) == [1, 2]
        assert numbers(history(client, limit=2, reverse=True)["messages"]) == [3, 2]
        kept = server.http("GET", "/v1/rooms/surgery:all/history?limit=1&reverse=true", status=200)["messages"]
        assert kept[0]["data"]["surgery_id"] == 3, "the same for who looks for a fault"
        client.send({"type": "message_history", "data": {"limit": "all"}})
        error = client.until("error")["data"]
        assert (error["code"], error["details"]["field"]) == (INVALID, "data.limit")


def test_progress_and_what_was_for_oneself_are_kept_as_well(server):
    with enter(server, "6") as client, enter(server, "7") as other:
        post(server, update(66), target_users=[6])
        post(server, OPTIMIZATION)
        assert numbers(history(client, of="own")["messages"])[-1:] == [66]
        assert history(client, of="optimization")["messages"][-1]["data"] == OPTIMIZATION["data"]
        assert 66 not in numbers(history(other, of="own")["messages"]) + numbers(history(other)["messages"])
        client.send({"type": "message_history", "data": {"of": "@user:7"}})
        assert client.until("error")["data"]["code"] == INVALID


def test_so_many_messages_are_kept_as_the_variable_says():
    with Server(PROFILE, env={"WEBSOCKET_MESSAGE_HISTORY_SIZE": "3"}) as server, enter(server, "1") as client:
        for number in range(1, 6):
            post(server, update(number))
        assert numbers(history(client)["messages"]) == [3, 4, 5]


# ------------------------------------------------------------------------------------------------------ who is away, acks


def test_what_was_sent_to_somebody_who_was_away_comes_when_it_is_back(server):
    with enter(server, "2") as client, enter(server, "3") as other:
        client.close()
        eventually("it is gone", lambda: server.http("GET", "/api/ws/connections/user/2", status=200)["total"] == 0)
        batch = [{**update(number), "target_users": [2]} for number in range(10, 15)]
        batch += [update(number) for number in range(20, 25)]
        answer = server.event("surgery", batch)
        assert len(answer) == 10, "a batch is one request"
        assert numbers(settle(other)) == list(range(20, 25))
    with enter(server, "2") as client:
        waited = client.before
        while len(numbers(waited)) < 10:
            waited.append(client.receive())
        assert [number for number in numbers(waited) if number < 20] == list(range(10, 15))
        assert [number for number in numbers(waited) if number >= 20] == list(range(20, 25))
        assert heard(client, server) == []


def test_a_batch_tells_of_each_of_its_events_and_has_a_bound(server):
    with enter(server, "4") as client:
        server.event("surgery", [update(number) for number in range(100)])
        got = []
        while len(got) < 100:
            got += numbers([client.receive()])
        assert got == list(range(100))
        refusal = server.http("POST", "/v1/profiles/surgery/events", [update(number) for number in range(101)], status=400)
        assert refusal["code"] == INVALID


def test_messages_are_acknowledged_and_come_again_where_delivery_is_at_least_once():
    config = '[profile.surgery]\ndelivery = "at_least_once"\nplaces = true\n'
    with Server(PROFILE, config=config) as server:
        with enter(server, "1") as client:
            post(server, update(1)), post(server, update(2))
            first = client.until("schedule_update")
            assert first["room"] == "surgery:all" and first["offset"] == 1 and first["epoch"] and first["message_id"]
            client.until("schedule_update")
            client.send({"type": "acknowledge", "data": {"offset": 1, "epoch": first["epoch"]}})
            assert client.until("acknowledged")["data"]["offset"] == 1
            receipts = server.http("GET", "/v1/rooms/surgery:all/receipts", status=200)
            assert [(reader["user_id"], reader["offset"]) for reader in receipts["readers"]] == [("1", 1)]
            client.send({"type": "acknowledge", "data": {"offset": 99}})
            assert client.until("error")["data"]["code"] == INVALID
            client.send({"type": "acknowledge", "data": {}})
            assert client.until("error")["data"]["code"] == INVALID
        with enter(server, "1") as client:
            again = client.before + settle(client)
            assert numbers(again) == [2], "what was acknowledged does not come again, the rest does"


# --------------------------------------------------------------------------------------------------------- notifications


def test_a_notification_has_severity_actions_and_an_end(server):
    expires = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    actions = [{"id": "plan", "label": "Open the plan", "url": "/schedule"}, "Later"]
    with enter(server, "20") as client:
        body = {"severity": "critical", "action_items": actions, "expires_at": expires, "target_users": [20], "user_id": 1}
        answer = notify(server, **body)["notifications"][0]
        assert (answer["expires_at"], answer["targets"]) == (expires, 1)
        message = client.until("system_notification")
        assert set(message) == {"type", "timestamp", "user_id", "data"} and message["user_id"] == 1
        data = message["data"]
        assert data["notification_id"] == answer["notification_id"] and data["expires_at"] == expires
        assert (data["title"], data["message"], data["severity"]) == ("Maintenance tonight", "From 22:00 to 23:00", "critical")
        assert data["actions"][0] == actions[0] and data["actions"][1]["label"] == "Later" and data["actions"][1]["id"]


def test_notifications_are_for_users_roles_or_all(server):
    with enter(server, "21", "surgeon") as one, enter(server, "22", "porter") as two, enter(server, "23", "cleaner") as three:
        everybody = [one, two, three]
        for targets, expected, sent in [
            ({"target_user": 21}, [one], 1),
            ({"user_ids": [21, 23]}, [one, three], 1),
            ({"target_roles": ["porter", "cleaner"]}, [two, three], 2),
            ({"target_users": [21], "target_roles": ["porter"]}, [one, two], 2),
            ({"target_roles": []}, [], 0),
            ({}, everybody, 1),
        ]:
            answer = notify(server, title=f"For {targets}", **targets)
            assert len(answer["notifications"]) == sent
            for client in everybody:
                if client in expected:
                    client.until("system_notification", lambda message: message["data"]["title"] == f"For {targets}")
                else:
                    assert "system_notification" not in heard(client, server), targets


def waiting(client, last):
    """The notifications that waited for a client, up to one of this title."""
    found = [message["data"] for message in client.before if message["type"] == "system_notification"]
    while last not in [data["title"] for data in found]:
        found.append(client.until("system_notification")["data"])
    return found


def test_a_notification_waits_until_it_is_acknowledged_and_the_most_urgent_comes_first(server):
    notify(server, title="Note", severity="info", target_users=[24])
    notify(server, title="Alarm", severity="critical", target_users=[24])
    with enter(server, "24", "guest") as client, enter(server, "24", "guest") as other_tab:
        waited = waiting(client, "Note")
        titles = [data["title"] for data in waited]
        assert [title for title in titles if title in ("Note", "Alarm")] == ["Alarm", "Note"]
        alarm = next(data for data in waited if data["title"] == "Alarm")
        client.send({"type": "acknowledge", "data": {"notification_id": alarm["notification_id"]}})
        done = other_tab.until("notification_acknowledged")["data"]
        assert done["notification_id"] == alarm["notification_id"]
        client.send({"type": "acknowledge", "data": {"notification_id": "nothing-like-it"}})
        assert client.until("error")["data"]["code"] == NOT_FOUND
    with enter(server, "24", "guest") as client:
        assert "Alarm" not in [data["title"] for data in waiting(client, "Note")]


def test_a_notification_that_has_expired_does_not_come(server):
    notify(server, title="Soon over", ttl_seconds=1, target_users=[25])
    notify(server, title="Stays", target_users=[25])

    def titles():
        with enter(server, "25") as client:
            return [data["title"] for data in waiting(client, "Stays")]

    eventually("it expires", lambda: "Soon over" not in titles())


@pytest.mark.parametrize(
    "wrong, field",
    [
        ({"title": None}, "title"),
        ({"severity": "dreadful"}, "severity"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"actions": [{"id": "x", "label": "x", "url": "javascript:alert(1)"}]}, "url"),
        ({"target_users": "all"}, "target_users"),
        ({"ttl_seconds": 0}, "ttl_seconds"),
    ],
)
def test_a_notification_that_cannot_be_is_refused_by_field(server, wrong, field):
    refusal = notify(server, status=400, **wrong)
    assert refusal["code"] == INVALID and field in refusal["details"]["field"], refusal


def test_a_time_that_cannot_be_is_named_as_it_was_sent(server):
    """Whether it is no time, or one that the engine takes no notification for: flat over HTTP, in `data` as an event."""
    far = "2099-01-01T00:00:00Z"
    for expires, status in [("tomorrow", 400), (far, 409), ("2020-01-01T00:00:00Z", 409)]:
        refusal = notify(server, status=status, expires_at=expires)
        assert refusal["details"]["field"] == "expires_at" and "`expires_at`" in refusal["message"], refusal
        event = {"type": "system_notification", "data": {"title": "T", "expires_at": expires}}
        assert server.event("surgery", event, status)["details"]["field"] == "data.expires_at"


def test_only_who_may_steer_notifies_over_a_websocket(server):
    with enter(server, "26") as nurse, enter(server, "27", "admin") as admin:
        nurse.send(NOTIFICATION)
        assert nurse.until("error")["data"]["code"] == FORBIDDEN
        admin.send({**NOTIFICATION, "user_id": 99, "target_users": [26]})
        message = nurse.until("system_notification", lambda message: "user_id" in message)
        assert message["user_id"] == 27 and message["data"]["title"] == NOTIFICATION["data"]["title"]


# --------------------------------------------------------------------------------------------------------------- privacy

PATIENT = "MARKER-Patient-Name"


def test_no_log_audit_line_or_inspector_record_names_a_patient():
    folder = pathlib.Path(tempfile.mkdtemp())
    audit = folder / "audit.jsonl"
    config = f"""
[log]
level = "trace"
[inspector]
enabled = true
[audit]
path = "{audit}"
publishes = true
[profile.surgery]
delivery = "at_least_once"
"""
    alert = {**EMERGENCY, "data": {**EMERGENCY["data"], "patient_name": PATIENT}}
    try:
        with Server(PROFILE, config=config) as server:
            with enter(server, "1", "admin") as admin, enter(server, "2") as nurse:
                # Every way in, what is taken and what is refused.
                post(server, alert)
                post(server, alert, target_users=[2, 77])
                server.http("POST", "/api/ws/broadcast", alert, status=200)
                server.http("POST", "/api/ws/broadcast", {**alert, "target_roles": ["nurse"]}, status=200)
                server.http("POST", "/api/ws/broadcast", {**alert, "target_users": []}, status=400)
                notify(server, title=PATIENT, message=PATIENT, actions=[PATIENT], data={"patient_name": PATIENT})
                notify(server, status=400, title=PATIENT, severity=PATIENT)
                admin.send(alert)
                nurse.send(alert)
                for odd in [
                    {"type": "emergency_alert", "data": {"patient_name": PATIENT}},
                    {"type": PATIENT, "data": alert["data"]},
                    {"type": "heartbeat", "data": {"current_page": f"/patients/{PATIENT}", "active_schedule_date": PATIENT}},
                    {"type": "heartbeat", "data": {"current_page": [PATIENT]}},
                    {"type": "message_history", "data": {"since": PATIENT}},
                ]:
                    nurse.send(odd)
                settle(admin), settle(nurse)
                refusal = post(server, {**alert, "data": {"patient_name": PATIENT, "emergency_id": "e"}}, status=400)
                assert PATIENT not in json.dumps(refusal)
                assert nurse.socket is not None and history(nurse)["messages"], "history has it, for who may read it"
                seen = [server.http("GET", f"/v1/inspector{path}", status=200) for path in ["", "/messages", "/events", "/errors", "/rooms"]]
                for path in ["/v1/inspector/export", "/metrics"]:
                    request = urllib.request.Request(f"http://{server.address}{path}", headers={"authorization": f"Bearer {KEY}"})
                    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                        seen.append(answer.read().decode())
                for answer in [server.http("GET", f"/api/ws/{path}", status=200) for path in ["connections", "statistics"]]:
                    seen.append(answer)
            alerts = [record for record in seen[1]["records"] if record["type"] == "emergency_alert"]
            assert len(alerts) >= 5 and alerts[0]["priority"] == 9, "what was seen was seen there"
            eventually("the audit is written", lambda: '"emergency_alert"' not in audit.read_text() and '"publish"' in audit.read_text())
            for text in [server.log, audit.read_text(), *[json.dumps(answer) for answer in seen]]:
                assert PATIENT not in text
    finally:
        shutil.rmtree(folder)


def test_a_token_in_the_query_is_in_no_log():
    secret = token("5")
    with Server(PROFILE, config='[log]\nlevel = "trace"\n') as server:
        with server.open(f"{PATH}?token={secret}") as client:
            settle(client)
        server.open(f"{PATH}?token={secret}x").ended()
        eventually("the end is logged", lambda: "close" in server.log)
        assert secret not in server.log and secret.split(".")[2] not in server.log


def test_an_urgent_alert_is_marked_as_one_and_others_are_not():
    with Server(PROFILE, config="[inspector]\nenabled = true\n") as server:
        post(server, SCHEDULE), post(server, CONFLICT), post(server, EMERGENCY)
        post(server, {**EMERGENCY, "data": {**EMERGENCY["data"], "priority": "routine"}})
        records = server.http("GET", "/v1/inspector/messages", status=200)["records"]
        assert [record.get("priority") or 0 for record in records] == [0, 7, 9, 7]
