"""What a backend posts in the application's own form goes out as it was posted: only what it leaves out is filled in."""

import uuid

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
