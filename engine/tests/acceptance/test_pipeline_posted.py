"""What a backend posts in the application's own form goes out as it was posted: only what it leaves out is filled in."""

import time
import uuid
from datetime import datetime

import pytest
from pipeline_client import PROFILE, enter  # noqa: F401: PROFILE is for the server

EMPTY = {"errors": [], "warnings": []}


def follow(server, operation_id):
    """A client that follows what is said of an id, known to be there."""
    server.http("POST", "/v1/operations", {"operation_id": operation_id})
    client = enter(server, "ada")
    client.send({"type": "subscribe_operation", "operation_id": operation_id})
    client.until("progress_update")
    return client


def posted(server, client, event):
    """What a client gets of an event."""
    server.event("pipeline", event)
    return client.until(event["type"])


def test_an_error_keeps_its_metadata_and_the_id_in_its_data(server):
    metadata = {"error_category": "storage", "compliance_impact": "high", "audit_required": False}
    data = {"error_code": "E", "error_message": "m", "operation_id": "op7"}
    whole = {
        "error_code": "E", "error_message": "m", "error_details": {}, "operation_id": "op7", "recovery_suggestions": [],
        "severity": "error", "retry_allowed": False,
    }  # fmt: skip
    event = {"type": "operation_error", "data": data, "metadata": metadata}
    with follow(server, "op7") as client:
        # To whoever follows the operation, to a user, and with the id beside the data as well.
        for more in [{}, {"user_id": "ada"}, {"operation_id": "op7"}, {"operation_id": "op7", "data": {**data, "operation_id": None}}]:
            told = posted(server, client, {**event, **more})
            assert (told["data"], told["metadata"]) == (whole, metadata), more


def test_an_error_has_the_usual_metadata_where_it_says_nothing(server):
    with follow(server, "op8") as client:
        told = posted(server, client, {"type": "operation_error", "operation_id": "op8", "data": {"category": "network"}})
        assert told["metadata"] == {"error_category": "network", "compliance_impact": "none", "audit_required": True}
        assert told["data"]["operation_id"] == "op8" and told["data"]["error_code"] == "UNKNOWN_ERROR"


@pytest.mark.parametrize(
    "event",
    [
        {
            "type": "upload_progress", "upload_id": "op9",
            "data": {
                "filename": "scan.tif", "bytes_uploaded": 1, "total_bytes": 3, "progress_percentage": 33.3,
                "upload_rate_bytes_per_second": 1234, "estimated_time_remaining": 9, "status": "verifying",
            },
            "metadata": {"file_size_mb": 7, "upload_start_time": "2026-01-01T00:00:00Z", "compliance_status": "validated"},
        },
        {
            "type": "pipeline_progress", "pipeline_id": "op9",
            "data": {
                "stage": "clean", "stage_progress": 10, "overall_progress": 4, "current_operation": "rows", "operations_completed": 1,
                "total_operations": 9, "processing_rate": {"rows": 1}, "memory_usage": {"mb": 2}, **EMPTY,
            },
            "metadata": {
                "pipeline_type": "nightly", "estimated_completion_time": "2026-01-01T00:00:00Z", "resource_utilization": {"cpu": 5},
            },
        },
        {
            "type": "progress_update", "operation_id": "op9", "operation_type": "posted",
            "data": {
                "progress_percentage": 5, "status": "running", "current_step": "read", "total_steps": 3, "steps_completed": 1,
                "estimated_time_remaining": 8, "current_operation": "rows", "throughput": {"rows": 1}, **EMPTY,
            },
            "metadata": {
                "compliance_level": "hipaa_plus_plus", "encryption_status": "encrypted", "audit_trail_id": str(uuid.uuid4()),
            },
        },
    ],
    ids=lambda event: event["type"],
)  # fmt: skip
def test_progress_in_the_documents_own_form_goes_out_as_it_is(server, event):
    with follow(server, "op9") as client:
        told = posted(server, client, event)
        assert (told["data"], told["metadata"]) == (event["data"], event["metadata"])


@pytest.mark.parametrize(
    ("data", "field"),
    [({"upload_rate_bytes_per_second": -1}, "data.upload_rate_bytes_per_second"), ({"progress_percentage": 101}, "data.progress_percentage")],
)
def test_what_stands_in_its_last_form_is_checked_like_anything_else(server, data, field):
    event = {"type": "upload_progress", "upload_id": "x", "data": {"filename": "f", "bytes_uploaded": 1, "total_bytes": 3, **data}}
    assert server.event("pipeline", event, 400)["details"]["field"] == field


# The same messages of operations that the engine keeps.


def test_a_pipelines_progress_has_its_stage_and_when_it_will_be_done(server):
    steps = [{"name": "Read", "step_id": "r"}, {"name": "Write", "step_id": "w"}]
    begin = {"operation_id": "kept", "kind": "pipeline", "steps": steps}
    server.http("POST", "/v1/operations", begin, status=200)
    with follow(server, "kept") as client:
        server.http("PATCH", "/v1/operations/kept/steps/r", {"status": "running"}, status=200)
        time.sleep(0.2)
        server.http("PATCH", "/v1/operations/kept/steps/r", {"progress": 50}, status=200)
        told = client.until("pipeline_progress", lambda message: message["data"]["overall_progress"] == 25)
        assert (told["data"]["stage"], told["data"]["stage_progress"]) == ("Read", 50)
        left = datetime.fromisoformat(told["metadata"]["estimated_completion_time"]) - datetime.fromisoformat(told["timestamp"])
        state = server.http("GET", "/v1/operations/kept", status=200)
        assert 0 <= left.total_seconds() <= state["estimated_seconds_remaining"] + 60
        # What its backend says of it counts more than what follows from its steps.
        said = {"stage_progress": 75, "estimated_completion_time": "2030-01-01T00:00:00Z", "pipeline_type": "nightly", "memory_usage": {"mb": 5}}
        server.http("PATCH", "/v1/operations/kept", {"metadata": said, "message": "rows"}, status=200)
        told = client.until("pipeline_progress", lambda message: message["data"]["current_operation"] == "rows")
        assert told["data"]["stage_progress"] == 75 and told["data"]["memory_usage"] == {"mb": 5}
        assert told["metadata"]["estimated_completion_time"] == "2030-01-01T00:00:00Z" and told["metadata"]["pipeline_type"] == "nightly"
        server.http("PATCH", "/v1/operations/kept", {"metadata": {name: None for name in said}}, status=200)
        server.http("POST", "/v1/operations/kept/complete", {}, status=200)
        told = client.until("pipeline_complete")
        assert told["metadata"]["estimated_completion_time"] == client.until("operation_complete")["data"]["completion_time"]


@pytest.mark.parametrize(
    ("more", "filename"),
    [({}, ""), ({"title": "scan.tif"}, "scan.tif"), ({"title": "A scan", "metadata": {"filename": "scan.tif"}}, "scan.tif")],
)
def test_an_upload_always_has_a_filename(server, more, filename):
    operation_id = f"file-{uuid.uuid4().hex[:8]}"
    server.http("POST", "/v1/operations", {"operation_id": operation_id, "kind": "upload", "total": 4, **more}, status=200)
    with follow(server, operation_id) as client:
        server.http("PATCH", f"/v1/operations/{operation_id}", {"done": 1}, status=200)
        assert client.until("upload_progress")["data"]["filename"] == filename


def test_the_trail_of_whatever_is_told_of_an_operation_is_a_uuid_and_a_state_that_was_asked_for_has_none(server):
    with follow(server, "trail") as client:
        client.send({"type": "subscribe_operation", "operation_id": "trail"})
        assert client.until("progress_update")["metadata"] == {}, "it was published to nobody"
        server.http("PATCH", "/v1/operations/trail", {"progress": 100}, status=200)
        for kind in ["progress_update", "operation_complete"]:
            assert uuid.UUID(client.until(kind)["metadata"]["audit_trail_id"])
