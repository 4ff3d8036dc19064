"""Documents: jobs that the engine follows itself, by its service of operations."""

import pytest
from conftest import ROOT, eventually, token

PROFILE = str(ROOT / "engine/profile/profiles/documents.toml")


def tab(server, user, client_id="tab-1", role="user"):
    client = server.open(f"/ws/{client_id}", token(user, role))
    assert client.receive()["type"] == "connection"
    return client


def start(server, job, user, kind="document", zones=0, **more):
    steps = [{"step_id": f"zone-{number}", "name": f"zone-{number}"} for number in range(1, zones + 1)]
    body = {"operation_id": job, "kind": kind, "user_id": user, "notify_user": "all", "metadata": {"document_id": "doc-7"}}
    if steps:
        body["steps"] = steps
    return server.http("POST", "/v1/operations", {**body, **more}, status=200)


def zone(server, job, number, **more):
    return server.http("PATCH", f"/v1/operations/{job}/steps/zone-{number}", more, status=200)


def update(server, job, **more):
    return server.http("PATCH", f"/v1/operations/{job}", more, status=200)


def end(server, job, how, **more):
    return server.http("POST", f"/v1/operations/{job}/{how}", more, status=200)


def test_a_job_is_told_zone_by_zone_processing_completed_and_overall_progress(server):
    with tab(server, "ada") as ada:
        start(server, "job-1", "ada", zones=3)
        started = ada.receive()
        assert started.pop("timestamp").endswith("Z")
        assert started == {"type": "processing_started", "document_id": "doc-7", "job_id": "job-1", "zones_completed": 0, "zones_total": 3}
        for number in (1, 2, 3):
            zone(server, "job-1", number, status="running", metadata={"processing_tool": "unstructured"})
            begun = ada.until("zone_processing")
            assert begun == {
                "type": "zone_processing",
                "document_id": "doc-7",
                "job_id": "job-1",
                "zone_id": f"zone-{number}",
                "zone_index": number - 1,
                "processing_tool": "unstructured",
                "status": "processing",
            }
            zone(server, "job-1", number, status="completed", results={"confidence": 0.9})
            over = ada.until("zone_completed")
            assert (over["zone_id"], over["zone_index"], over["status"], over["confidence"]) == (f"zone-{number}", number - 1, "completed", 0.9)
            assert over["processing_tool"] == "unstructured" and over["duration_ms"] >= 0
            # What comes within a tenth of a second is told together, so the whole is looked for after its part.
            whole = ada.until("processing_progress", lambda message: message["zones_completed"] == number)
            assert whole["progress"] == pytest.approx(number * 100 / 3, abs=0.01)
            assert (whole["current_zone"], whole["zones_total"], whole["job_id"]) == (f"zone-{number}", 3, "job-1")
            assert whole["current_operation"] == f"{number} of 3 zones completed"
        end(server, "job-1", "complete", results={"pages": 4})
        done = ada.until("processing_completed")
        assert (done["document_id"], done["job_id"], done["zones_completed"], done["results"]) == ("doc-7", "job-1", 3, {"pages": 4})
        assert done["duration_ms"] >= 0 and done["timestamp"].endswith("Z")


def test_a_zone_may_say_with_what_and_how_long_it_was_made(server):
    with tab(server, "tools") as client:
        start(server, "job-tools", "tools", zones=1)
        zone(server, "job-tools", 1, status="completed", results={"tool": "tesseract", "duration_ms": 1234})
        over = client.until("zone_completed")
        assert (over["processing_tool"], over["duration_ms"]) == ("tesseract", 1234)
        assert "confidence" not in over


def test_what_an_operation_does_not_say_is_not_missing_for_clients(server):
    """Their models ask for a document and for a tool."""
    with tab(server, "ida") as ida:
        start(server, "job-bare", "ida", zones=1, metadata={})
        assert ida.until("processing_started")["document_id"] == "job-bare"
        zone(server, "job-bare", 1, status="running")
        begun = ida.until("zone_processing")
        assert (begun["document_id"], begun["processing_tool"]) == ("job-bare", "unknown")


def test_a_zone_that_fails_is_over_and_says_so(server):
    with tab(server, "failing") as client:
        start(server, "job-zf", "failing", zones=2)
        zone(server, "job-zf", 1, status="running")
        zone(server, "job-zf", 1, status="failed", errors=["blurred"])
        assert client.until("zone_completed")["status"] == "failed"


def test_the_time_that_is_left_is_whole_seconds_and_known_only_once_there_is_progress(server):
    with tab(server, "timed") as client:
        start(server, "job-eta", "timed")
        update(server, "job-eta", progress=0, message="Loading")
        first = client.until("processing_progress")
        assert "estimated_time_remaining" not in first and first["current_operation"] == "Loading"
        answer = update(server, "job-eta", progress=0.1)
        least = round(answer["elapsed_seconds"] * 999)
        told = client.until("processing_progress", lambda message: message["progress"] == 0.1)["estimated_time_remaining"]
        most = round(server.http("GET", "/v1/operations/job-eta", status=200)["elapsed_seconds"] * 999)
        assert isinstance(told, int) and least <= told <= most, "the time so far by the share done, less the time so far"


def test_a_job_that_fails_or_is_given_up_has_failed_for_clients(server):
    with tab(server, "sad") as client:
        start(server, "job-f", "sad")
        end(server, "job-f", "fail", error={"code": "OCR", "message": "unreadable"})
        failed = client.until("processing_failed")
        assert (failed["job_id"], failed["error"]["code"], failed["error"]["message"]) == ("job-f", "OCR", "unreadable")
        start(server, "job-c", "sad")
        end(server, "job-c", "cancel", reason="not needed")
        failed = client.until("processing_failed")
        assert (failed["job_id"], failed["error"]) == ("job-c", {"code": "CANCELLED", "message": "not needed"})


def test_an_export_has_its_own_four_events(server):
    with tab(server, "exporter") as client:
        start(server, "export-1", "exporter", kind="export")
        assert client.receive()["type"] == "export_started"
        update(server, "export-1", progress=40, message="Writing page 2")
        told = client.until("export_progress")
        assert (told["document_id"], told["job_id"], told["progress"], told["current_operation"]) == ("doc-7", "export-1", 40, "Writing page 2")
        end(server, "export-1", "complete", results={"url": "/exports/1"})
        assert client.until("export_completed")["results"] == {"url": "/exports/1"}
        start(server, "export-2", "exporter", kind="export")
        end(server, "export-2", "fail", error={"message": "no space"})
        assert client.until("export_failed")["error"]["message"] == "no space"


def test_nobody_but_its_owner_and_those_who_watch_over_all_hear_of_a_job(server):
    with tab(server, "owner") as owner, tab(server, "eve", "e") as eve, tab(server, "op", "o", role="admin") as watcher:
        start(server, "job-own", "owner", zones=2)
        zone(server, "job-own", 1, status="completed")
        eve.send({"type": "subscribe", "job_id": "job-own"})
        assert eve.until("error")["code"] == 4013
        watcher.send({"type": "subscribe", "job_id": "nope"})
        missing = watcher.until("error")
        assert (missing["code"], missing["details"].get("field")) == (4002, "job_id"), "there is no such job to wait for"
        watcher.send({"type": "subscribe", "job_id": "job-own"})
        state = watcher.until("subscribed")
        assert (state["job_id"], state["document_id"], state["status"], state["zones_completed"], state["zones_total"]) == ("job-own", "doc-7", "running", 1, 2)
        zone(server, "job-own", 2, status="completed")
        assert watcher.until("zone_completed")["zone_id"] == "zone-2"
        watcher.send({"type": "unsubscribe", "job_id": "job-own"})
        assert watcher.until("unsubscribed")["job_id"] == "job-own"
        owner.until("zone_completed", lambda message: message["zone_id"] == "zone-2")
        eve.send({"type": "ping"})
        assert eve.receive()["type"] == "pong", "nothing of it came before"


def test_an_owner_who_was_away_hears_of_begin_and_end(server):
    start(server, "job-away", "traveller", zones=1)
    zone(server, "job-away", 1, status="completed")
    end(server, "job-away", "complete")
    with tab(server, "traveller") as client:
        assert [client.receive()["type"] for _ in range(2)] == ["processing_started", "processing_completed"]


def test_a_flood_of_progress_is_told_ten_times_a_second_and_ends_with_the_newest(server):
    with tab(server, "flood") as client:
        start(server, "job-flood", "flood")
        for tenth in range(1, 200):
            update(server, "job-flood", progress=tenth / 10)
        told = []
        while not told or told[-1] < 19.9:
            told.append(client.until("processing_progress")["progress"])
        assert told == sorted(told) and len(told) < 150, "folded, and never back"


def test_a_backend_that_does_not_say_all_has_begin_and_end_told_only(server):
    with tab(server, "brief") as client:
        start(server, "job-brief", "brief", zones=1, notify_user=True)
        zone(server, "job-brief", 1, status="completed")
        end(server, "job-brief", "complete")
        assert [client.receive()["type"] for _ in range(2)] == ["processing_started", "processing_completed"]
        gone = lambda: server.http("DELETE", "/v1/operations/job-brief")[0] == 200
        eventually("it is forgotten", gone)
        client.send({"type": "ping"})
        assert client.receive()["type"] == "pong"
