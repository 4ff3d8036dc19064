"""Documents: rooms of documents, what they keep, and what a client says it wants."""

import json

import pytest
from conftest import ROOT, Server, eventually, token

PROFILE = str(ROOT / "engine/profile/profiles/documents.toml")


def tab(server, user, client_id="tab-1", query="", role="user"):
    client = server.open(f"/ws/{client_id}{query}", token(user, role))
    assert client.receive()["type"] == "connection"
    return client


def invite(server, document, *users):
    """What a backend does when somebody may see a document."""
    server.http("PUT", f"/v1/rooms/document:{document}", {"invited": list(users)}, status=200)


def follow(client, document, **more):
    client.send({"type": "subscribe", "document_id": document, **more})
    return client.until("subscribed")


def progress(document, percent, **to):
    return {
        "type": "processing_progress",
        "document_id": document,
        "job_id": f"job-{document}",
        "progress": percent,
        "zones_completed": percent // 10,
        "zones_total": 10,
        "current_operation": "reading",
        **to,
    }


def say(server, document, percent):
    server.event("documents", progress(document, percent, room=f"document:{document}"))


def marker(server, user):
    """Something that comes after everything else a user was sent."""

    def send():
        server.event("documents", {"type": "export_failed", "user_id": user, "document_id": "end", "job_id": "end"})
        return "export_failed"

    return send


def test_who_follows_a_document_gets_its_events_and_nobody_else_does(server):
    invite(server, "d1", "ada", "ben")
    with tab(server, "ada") as ada, tab(server, "ben", "tab-2") as ben:
        assert follow(ada, "d1")["document_id"] == "d1"
        say(server, "d1", 10)
        message = ada.until("processing_progress")
        assert (message["progress"], message["document_id"], message["offset"]) == (10, "d1", 1) and message["epoch"]
        ben.silent(["processing_progress"], marker(server, "ben"))


def test_who_no_longer_follows_a_document_gets_no_more_of_it(server):
    invite(server, "d2", "ada")
    with tab(server, "ada") as ada:
        follow(ada, "d2")
        ada.send({"type": "unsubscribe", "document_id": "d2"})
        assert ada.until("unsubscribed")["document_id"] == "d2"
        say(server, "d2", 10)
        ada.silent(["processing_progress"], marker(server, "ada"))


def test_a_document_is_for_who_was_invited_by_every_way(server):
    invite(server, "secret", "ada")
    with tab(server, "eve") as eve, server.open("/v1/ws", token("eve")) as native:
        for kind in ("subscribe", "history"):
            eve.send({"type": kind, "document_id": "secret"})
            assert eve.until("error")["code"] == 4013
        native.until("welcome")
        native.send({"type": "join", "id": 1, "room": "document:secret"})
        assert native.until("error")["code"] == 4013
        eve.send({"type": "subscribe", "document_id": "never heard of"})
        assert eve.until("error")["code"] == 4013
        eve.send({"type": "subscribe", "document_id": "not-there"})
        assert eve.until("error")["code"] == 4013, "it does not tell which there are"
        status, _ = server.event("documents", progress("not-there", 1, room="document:not-there"), status=None)
        assert status == 404, "nobody could hear it"


def test_who_comes_back_gets_what_it_missed_once_and_in_order(server):
    invite(server, "d3", "ada")
    with tab(server, "ada") as ada:
        follow(ada, "d3")
        say(server, "d3", 10)
        last = ada.until("processing_progress")
    for percent in (20, 30, 40):
        say(server, "d3", percent)
    with tab(server, "ada", "tab-2") as again:
        after = {"epoch": last["epoch"], "offset": last["offset"]}
        assert follow(again, "d3", after=after)["recovered"] is True
        say(server, "d3", 50)
        assert [again.until("processing_progress")["progress"] for _ in range(4)] == [20, 30, 40, 50]
    with tab(server, "ada", "tab-3") as lost:
        assert follow(lost, "d3", after={"epoch": "another", "offset": 1})["recovered"] is False
    with tab(server, "ada", "tab-4") as late:
        follow(late, "d3", last=2)
        assert [late.until("processing_progress")["progress"] for _ in range(2)] == [40, 50]


def test_what_a_document_keeps_can_be_read(server):
    invite(server, "d4", "ada")
    for percent in range(10, 60, 10):
        say(server, "d4", percent)
    with tab(server, "ada") as ada:
        ada.send({"type": "history", "document_id": "d4", "limit": 2})
        page = ada.until("history")
        assert [(event["type"], event["progress"]) for event in page["events"]] == [("processing_progress", 10), ("processing_progress", 20)]
        since = {"epoch": page["epoch"], "offset": page["events"][-1]["offset"]}
        ada.send({"type": "history", "document_id": "d4", "since": since})
        assert [event["progress"] for event in ada.until("history")["events"]] == [30, 40, 50]


def test_a_document_may_be_called_anything(server):
    """What a room's name cannot hold is written another way there; clients never see it."""
    name = "Bericht 7/ä=b.pdf"
    within = "".join(one if one.isascii() and one.isalnum() or one == "." else "".join(f"={byte:02X}" for byte in one.encode()) for one in name)
    invite(server, within, "ada")
    with tab(server, "ada", "strange") as ada:
        assert follow(ada, name)["document_id"] == name
        server.event("documents", progress(name, 10, room=f"document:{name}"))
        assert ada.until("processing_progress")["document_id"] == name
        ada.send({"type": "history", "document_id": name})
        kept = ada.until("history")
        assert kept["document_id"] == name and kept["events"][0]["timestamp"].endswith("Z"), "when it was said stays known"
        ada.send({"type": "unsubscribe", "document_id": name})
        assert ada.until("unsubscribed")["document_id"] == name


def test_a_document_keeps_so_many_events_as_is_set():
    with Server(PROFILE, env={"WS_HISTORY_SIZE": "3"}) as small:
        invite(small, "d5", "ada")
        for percent in range(10, 70, 10):
            say(small, "d5", percent)
        with tab(small, "ada") as ada:
            ada.send({"type": "history", "document_id": "d5"})
            assert [event["progress"] for event in ada.until("history")["events"]] == [40, 50, 60]


def test_a_users_own_events_can_be_read_again_by_that_user_only(server):
    for percent in (10, 20):
        server.event("documents", progress("d6", percent, user_id="carol"))
    with tab(server, "carol") as carol, tab(server, "eve", "tab-e") as eve:
        carol.send({"type": "history"})
        assert [event["progress"] for event in carol.until("history")["events"]] == [10, 20]
        eve.send({"type": "history"})
        assert eve.until("history")["events"] == []


def test_events_of_a_user_who_is_away_wait_and_come_after_the_greeting(server):
    for percent in (10, 20, 30):
        server.event("documents", progress("d7", percent, user_id="away"))
    with tab(server, "away") as client:
        assert [client.until("processing_progress")["progress"] for _ in range(3)] == [10, 20, 30]


def test_a_client_that_was_cut_off_resumes_with_its_rooms_and_is_told_so(server):
    invite(server, "d8", "ada")
    client = server.open("/ws/tab-1", token("ada"))
    greeting = client.receive()
    place = follow(client, "d8")
    client.socket.socket.close()
    say(server, "d8", 10)
    recover = f"document:d8,{place['epoch']},{place['offset']}"
    with server.open(f"/ws/tab-1?resume={greeting['resume']}&recover={recover}", token("ada")) as again:
        assert again.receive()["type"] == "connection"
        told = again.until("reconnected")
        assert told["client_id"] == "tab-1" and told["timestamp"].endswith("Z")
        assert again.until("processing_progress")["progress"] == 10
        say(server, "d8", 20)
        assert again.until("processing_progress")["progress"] == 20


@pytest.mark.parametrize(
    "wanted,passes",
    [
        ("all", ["processing_progress", "zone_completed", "export_progress", "processing_completed"]),
        ("processing", ["processing_progress", "zone_completed", "processing_completed"]),
        ("progress", ["processing_progress", "export_progress"]),
        ("zones", ["zone_completed"]),
        ("exports", ["export_progress", "export_completed"]),
        ("ends", ["processing_completed", "export_completed"]),
    ],
)
def test_a_client_gets_only_the_events_that_it_asked_for(server, wanted, passes):
    user = f"picky-{wanted}"
    job = {"document_id": "d", "job_id": "j", "user_id": user}
    zone = {"zone_id": "z", "zone_index": 0, "processing_tool": "ocr", "status": "completed"}
    with tab(server, user, "picky", f"?events={wanted}") as picky, tab(server, user, "all") as everything:
        server.event("documents", [progress("d", 10, user_id=user), {"type": "zone_completed", **job, **zone}])
        server.event("documents", [{"type": "export_progress", **job, "progress": 5}, {"type": "processing_completed", **job}])
        server.event("documents", {"type": "export_completed", **job})
        everything.until("export_completed")
        names = {"processing_progress", "zone_completed", "export_progress", "processing_completed", "export_completed"}
        told = [picky.until(kind)["type"] for kind in passes]
        assert told == passes
        picky.send({"type": "ping"})
        rest = []
        while (message := picky.receive())["type"] != "pong":
            rest.append(message["type"])
        assert not names.difference(passes, ["export_completed"]).intersection(rest)


def test_events_that_nobody_knows_are_no_wish(server):
    client = server.open("/ws/tab-1?events=everything", token("ada"))
    assert client.until("error")["code"] == 4005
    assert client.ended()[0] == 4005


def test_a_wish_holds_in_rooms_as_well(server):
    invite(server, "d9", "ada")
    with tab(server, "ada", query="?events=ends") as ada:
        follow(ada, "d9")
        say(server, "d9", 10)
        server.event("documents", {"type": "processing_completed", "room": "document:d9", "document_id": "d9", "job_id": "j"})
        message = ada.receive()
        assert message["type"] == "processing_completed", json.dumps(message)


def test_a_document_that_is_closed_takes_no_more(server):
    invite(server, "d10", "ada")
    with tab(server, "ada") as ada:
        follow(ada, "d10")
        server.http("DELETE", "/v1/rooms/document:d10", status=200)
        assert ada.until("unsubscribed")["document_id"] == "d10"
        gone = lambda: server.event("documents", progress("d10", 1, room="document:d10"), status=None)[0] == 404
        eventually("the room is gone", gone)
