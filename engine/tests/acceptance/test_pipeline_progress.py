"""Operations and their steps as clients see them, and every message that a backend may post."""

import asyncio
import tempfile
import uuid
from datetime import datetime

import pytest
from conftest import Server, eventually
from pipeline_client import PATH, PROFILE, PipelineClient, access, attend, enter

CONFIGURATION = """
[[role]]
name = "display"
not_receive = ["security_alert"]
"""
STATE = {
    "user_id", "status", "progress_percentage", "current_step", "total_steps", "steps_completed", "estimated_duration_seconds",
    "start_time", "last_update", "metadata", "errors", "warnings", "compliance_status",
}  # fmt: skip
STEP = {"progress_percentage": 1, "status": "s", "current_step": "c"}


def start(server, operation_id, **more):
    return server.http("POST", "/v1/operations", {"operation_id": operation_id, **more}, status=200)


def change(server, path, body, method="PATCH", status=200):
    return server.http(method, f"/v1/operations/{path}", body, status=status)


def subscribe(client, operation_id):
    client.send({"type": "subscribe_operation", "operation_id": operation_id, "client_id": "ignored"})
    return client.until("progress_update", lambda message: message["operation_id"] == operation_id)


def follow(server, operation_id):
    """A client that follows what is said of an id, known to be there."""
    start(server, operation_id)
    client = enter(server, "ada")
    subscribe(client, operation_id)
    return client


def envelope(message):
    assert message["version"] == "1.0" and message["sender"] == "server", message
    assert uuid.UUID(message["message_id"])
    assert datetime.fromisoformat(message["timestamp"]).tzinfo is not None, "a time says its zone"
    return message


def test_the_documents_client_follows_an_operation_from_its_state_to_its_end(server):
    async def play():
        say = lambda *call, **more: asyncio.to_thread(change, server, *call, **more)
        begin = {"operation_id": "job-1", "kind": "pipeline", "user_id": "zoe", "metadata": {"operation_type": "dataset_processing"}}
        await asyncio.to_thread(lambda: server.http("POST", "/v1/operations", begin, status=200))
        client, seen = PipelineClient(server.url(PATH)), []

        async def progress(data):
            seen.append(data)

        assert await client.connect(access("ada"))
        await client.subscribe_to_operation("job-1", progress)
        await client.until("the state", lambda: any(data["status"] == "initialized" for data in seen))
        first = next(data for data in seen if data["status"] == "initialized")
        assert STATE <= set(first) and first["user_id"] == "zoe" and first["compliance_status"] == "pending"
        assert (first["progress_percentage"], first["current_step"], first["total_steps"]) == (0, "initialization", 0)
        await say("job-1", {"progress": 40, "current_step": "Cleaning", "warnings": ["12 rows have no date"]})
        await client.until("progress", lambda: any(data["progress_percentage"] == 40 for data in seen))
        assert client.ui_events[-1] == {
            "operation_id": "job-1", "progress_percentage": 40, "status": "in_progress", "current_step": "Cleaning",
            "errors": [], "warnings": ["12 rows have no date"],
        }  # fmt: skip
        await say("job-1/complete", {"results": {"rows": 1200, "compliance_status": "compliant", "compliance_violations": []}}, method="POST")
        await client.until("the end", lambda: client.completed)
        last = seen[-1]
        assert (last["status"], last["progress_percentage"], last["compliance_status"]) == ("completed", 100, "compliant")
        assert last["actual_duration_seconds"] > 0 and datetime.fromisoformat(last["completion_time"]) and last["results"]["rows"] == 1200
        end = envelope(client.completed[0])
        assert (end["operation_id"], end["operation_type"]) == ("job-1", "dataset_processing")
        assert end["data"]["results"]["rows"] == 1200 and end["data"]["compliance_violations"] == []
        kinds = [message["type"] for message in client.received]
        assert "pipeline_progress" in kinds and kinds.index("pipeline_complete") < kinds.index("operation_complete")
        await client.close()

    asyncio.run(play())


def test_the_documents_client_gets_errors_where_it_handles_errors(server):
    async def play():
        await asyncio.to_thread(start, server, "fails", kind="upload", title="scan.tif")
        client = PipelineClient(server.url(PATH))
        assert await client.connect(access("ada"))
        seen = []

        async def progress(data):
            seen.append(data)

        await client.subscribe_to_operation("fails", progress)
        await client.until("the state", lambda: seen)
        error = {"code": "DISK_FULL", "message": "no space", "retryable": True, "recovery_suggestions": ["free some"]}
        await asyncio.to_thread(change, server, "fails/fail", {"error": error}, "POST")
        await client.until("the error", lambda: client.errors)
        told = envelope(client.errors[0])
        assert told["type"] == "upload_error" and told["data"]["operation_id"] == "fails"
        assert (told["data"]["error_code"], told["data"]["retry_allowed"]) == ("DISK_FULL", True)
        assert told["data"]["recovery_suggestions"] == ["free some"] and seen[-1]["status"] == "failed"
        assert (told["metadata"]["compliance_impact"], told["metadata"]["audit_required"]) == ("none", True)
        await client.close()

    asyncio.run(play())


def test_an_operation_needs_its_id_a_free_one_and_a_known_kind(server):
    assert server.http("POST", "/v1/operations", {})[1]["details"]["field"] == "operation_id"
    start(server, "twice")
    status, answer = server.http("POST", "/v1/operations", {"operation_id": "twice"})
    assert (status, answer["code"]) == (409, 4014)
    assert server.http("POST", "/v1/operations", {"operation_id": "kind", "kind": "nonsense"})[0] == 404
    for path in ["nowhere", "nowhere/complete"]:
        assert server.http("PATCH" if path == "nowhere" else "POST", f"/v1/operations/{path}", {})[0] == 404


def test_the_owner_hears_of_the_start_without_subscribing(server):
    with enter(server, "owner") as client:
        start(server, "mine", user_id="owner")
        told = client.until("progress_update")
        assert (told["operation_id"], told["data"]["status"]) == ("mine", "initialized")


def test_a_hundred_per_cent_completes_and_counts_and_steps_do_not(server):
    with follow(server, "whole") as client:
        change(server, "whole", {"progress": 100})
        done = client.until("progress_update", lambda message: message["data"]["status"] == "completed")["data"]
        assert done["progress_percentage"] == 100 and done["actual_duration_seconds"] >= 0 and done["completion_time"]
        assert client.until("operation_complete")["data"]["compliance_status"] == "pending"
        assert change(server, "whole", {"progress": 50}, status=409)["code"] == 4014


def test_steps_have_their_times_once_and_the_whole_is_their_mean(server):
    with follow(server, "steps") as client:
        names = [("Read", "steps_Read_0123abcd"), ("Clean", "steps_Clean_4567cdef")]
        for name, step_id in names:
            change(server, "steps/steps", {"name": name, "step_id": step_id, "estimated_seconds": 9, "metadata": {"of": name}}, "POST")
        added = envelope(client.until("step_update", lambda message: message["data"]["step_id"] == names[1][1]))["data"]
        assert (added["step_name"], added["status"], added["progress_percentage"], added["total_steps"]) == ("Clean", "pending", 0, 2)
        assert (added["start_time"], added["end_time"], added["estimated_duration_seconds"]) == (None, None, 9)
        assert added["metadata"] == {"of": "Clean"} and (added["errors"], added["warnings"], added["results"]) == ([], [], {})

        at = f"steps/steps/{names[0][1]}"
        change(server, at, {"status": "running"})
        began = client.until("step_update", lambda message: message["data"]["status"] == "in_progress")["data"]["start_time"]
        change(server, at, {"progress": 60, "errors": ["a"], "results": {"rows": 1}})
        change(server, at, {"errors": ["b"], "warnings": ["w"], "results": {"more": 2}})
        change(server, at, {"status": "completed"})
        ended = client.until("step_update", lambda message: message["data"]["status"] == "completed")["data"]
        assert ended["start_time"] == began and ended["end_time"] >= began
        assert (ended["errors"], ended["warnings"], ended["results"]) == (["a", "b"], ["w"], {"rows": 1, "more": 2})
        whole = client.until("progress_update", lambda message: message["data"]["steps_completed"] == 1)["data"]
        assert whole["progress_percentage"] == 50 and whole["total_steps"] == 2 and whole["status"] == "in_progress"
        change(server, f"steps/steps/{names[1][1]}", {"status": "failed"})
        assert client.until("step_update", lambda message: message["data"]["status"] == "failed")["data"]["end_time"]
        assert change(server, "steps/steps/none", {"progress": 1}, status=404)["code"] == 4002


def test_who_subscribes_late_or_again_gets_the_present_state(server):
    start(server, "late")
    change(server, "late", {"progress": 30, "estimated_seconds": 600})
    with enter(server, "ben") as client:
        for _ in range(2):
            told = envelope(subscribe(client, "late"))
            assert (told["data"]["progress_percentage"], told["data"]["estimated_duration_seconds"]) == (30, 600)
        client.send({"type": "unsubscribe_operation", "operation_id": "late"})
        client.send({"type": "heartbeat"})
        client.until("heartbeat")
        change(server, "late", {"progress": 60})
        client.send({"type": "heartbeat"})
        client.silent(["progress_update"], lambda: "heartbeat")


def test_who_subscribes_before_the_start_gets_it(server):
    with enter(server, "ben") as client:
        client.send({"type": "subscribe_operation", "operation_id": "soon"})
        client.send({"type": "heartbeat"})
        client.until("heartbeat")
        start(server, "soon")
        assert client.until("progress_update")["data"]["status"] == "initialized"


def test_a_token_with_patterns_follows_only_what_they_name(server):
    start(server, "closed")
    with server.open(f"{PATH}?auth_token={access('eve', rooms=['operation:other', 'pipeline_feed:other', 'pipeline_system:all'])}") as client:
        client.until("connection_ack")
        client.send({"type": "subscribe_operation", "operation_id": "closed"})
        assert client.until("connection_error")["data"]["error_code"] == "FORBIDDEN"


def test_progress_stands_beside_data_as_well_where_that_is_set():
    with Server(PROFILE, env={"FLAT_PROGRESS": "true"}) as server, follow(server, "flat") as client:
        change(server, "flat", {"progress": 20})
        told = client.until("progress_update", lambda message: message["data"]["progress_percentage"] == 20)
        for name in [
            "status", "progress_percentage", "current_step", "total_steps", "steps_completed", "estimated_duration_seconds", "last_update",
            "errors", "warnings", "compliance_status",
        ]:  # fmt: skip
            assert told[name] == told["data"][name], name


def ulid(text):
    """An id as the engine writes it, from the UUID of the same bits."""
    digits = "0123456789abcdefghjkmnpqrstvwxyz"
    return "".join(digits[uuid.UUID(text).int >> 5 * place & 31] for place in reversed(range(26)))


def test_every_message_has_the_id_that_the_audit_has_and_claims_nothing_that_nobody_checked():
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
        with Server(PROFILE, config=f'[audit]\npath = "{file.name}"\npublishes = true\n') as server, follow(server, "audited") as client:
            change(server, "audited", {"progress": 20})
            told = client.until("progress_update", lambda message: message["data"]["progress_percentage"] == 20)
            assert set(told["metadata"]) == {"audit_trail_id"}, "nothing of encryption or compliance that nobody knows"
            placed = ulid(told["metadata"]["audit_trail_id"])
            line = eventually("its line", lambda: [line for line in open(file.name) if placed in line])
            assert '"room":"operation:audited"' in line[0]


# What backends post.


def test_progress_that_a_backend_posts_reaches_who_follows_the_operation(server):
    with follow(server, "posted") as client:
        data = {"progress_percentage": 12.5, "status": "running", "current_step": "parse", "throughput": {"rows": 9}}
        event = {"type": "progress_update", "operation_id": "posted", "operation_type": "file_upload", "data": data}
        server.event("pipeline", {**event, "metadata": {"compliance_level": "hipaa_plus_plus"}})
        told = envelope(client.until("progress_update", lambda message: message["operation_type"] == "file_upload"))
        assert told["data"] == {
            "total_steps": 0, "steps_completed": 0, "estimated_time_remaining": 0, "current_operation": "", "errors": [], "warnings": [], **data,
        }  # fmt: skip
        assert told["metadata"]["compliance_level"] == "hipaa_plus_plus", "the backend has said so"
        assert told["metadata"]["audit_trail_id"] and "encryption_status" not in told["metadata"]


def test_an_upload_is_told_in_percent_and_mebibytes(server):
    with follow(server, "up-1") as client:
        data = {"filename": "scan.tif", "bytes_uploaded": 1_048_576, "total_bytes": 4_194_304, "upload_rate": 99}
        server.event("pipeline", {"type": "upload_progress", "upload_id": "up-1", "data": data})
        told = envelope(client.until("upload_progress"))
        assert told["upload_id"] == "up-1"
        assert told["data"] == {
            "filename": "scan.tif", "bytes_uploaded": 1_048_576, "total_bytes": 4_194_304, "progress_percentage": 25,
            "upload_rate_bytes_per_second": 99, "estimated_time_remaining": 0, "status": "uploading",
        }  # fmt: skip
        assert told["metadata"]["file_size_mb"] == 4 and datetime.fromisoformat(told["metadata"]["upload_start_time"])
        assert "compliance_status" not in told["metadata"], "nobody has validated anything"
        empty = {"filename": "empty", "bytes_uploaded": 0, "total_bytes": 0}
        server.event("pipeline", {"type": "upload_progress", "upload_id": "up-1", "data": empty})
        assert client.until("upload_progress")["data"]["progress_percentage"] == 100


def test_an_upload_that_the_engine_counts_has_the_same_form(server):
    start(server, "up-2", kind="upload", title="scan.tif", total=4_194_304, unit="bytes", metadata={"compliance_status": "validated"})
    with enter(server, "ada") as client:
        subscribe(client, "up-2")
        change(server, "up-2", {"done": 1_048_576})
        told = envelope(client.until("upload_progress", lambda message: message["data"]["bytes_uploaded"] > 0))
        assert (told["upload_id"], told["data"]["filename"], told["data"]["progress_percentage"]) == ("up-2", "scan.tif", 25)
        assert told["data"]["status"] == "uploading" and told["metadata"]["file_size_mb"] == 4
        assert told["metadata"]["compliance_status"] == "validated", "whoever started it has said so"
        change(server, "up-2/complete", {}, "POST")
        progress = client.until("progress_update", lambda message: message["data"]["status"] == "completed")
        done = [progress, client.until("upload_complete"), client.until("operation_complete")]
        assert done[1]["data"]["status"] == "completed"
        assert len({message["message_id"] for message in done}) == 3, "three messages have three ids"
        assert len({message["metadata"]["audit_trail_id"] for message in done}) == 1, "of one change"


def test_a_pipeline_has_its_stage_and_what_is_left_out_its_usual_value(server):
    with follow(server, "pipe-1") as client:
        server.event("pipeline", {"type": "pipeline_progress", "pipeline_id": "pipe-1", "data": {"stage": "train", "overall_progress": 40}})
        told = envelope(client.until("pipeline_progress"))
        assert told["pipeline_id"] == "pipe-1"
        assert told["data"] == {
            "stage": "train", "stage_progress": 0, "overall_progress": 40, "current_operation": "", "operations_completed": 0,
            "total_operations": 0, "processing_rate": {}, "memory_usage": {}, "errors": [], "warnings": [],
        }  # fmt: skip
        assert told["metadata"] == {"pipeline_type": "standard", "estimated_completion_time": "", "resource_utilization": {}}


@pytest.mark.parametrize("kind", ["connection", "operation", "pipeline", "upload", "validation"])
def test_errors_have_every_member(server, kind):
    with follow(server, f"err-{kind}") as client:
        server.event("pipeline", {"type": f"{kind}_error", "operation_id": f"err-{kind}"})
        told = envelope(client.until(f"{kind}_error"))
        assert told["data"] == {
            "error_code": "UNKNOWN_ERROR", "error_message": "An unknown error occurred", "error_details": {}, "operation_id": f"err-{kind}",
            "recovery_suggestions": [], "severity": "error", "retry_allowed": False,
        }  # fmt: skip
        assert told["metadata"] == {"error_category": "system", "compliance_impact": "none", "audit_required": True}
        data = {"error_code": "E1", "retry_allowed": True, "category": "storage", "audit_required": False}
        server.event("pipeline", {"type": f"{kind}_error", "operation_id": f"err-{kind}", "data": data})
        told = client.until(f"{kind}_error")
        assert told["operation_id"] == f"err-{kind}"
        assert (told["data"]["error_code"], told["data"]["retry_allowed"]) == ("E1", True)
        assert (told["metadata"]["error_category"], told["metadata"]["audit_required"]) == ("storage", False)


@pytest.mark.parametrize(
    "kind, of",
    [
        ("heartbeat", "operation_id"),
        ("step_update", "operation_id"),
        ("operation_complete", "operation_id"),
        ("pipeline_start", "pipeline_id"),
        ("pipeline_complete", "pipeline_id"),
        ("upload_complete", "upload_id"),
        ("conversion_progress", "conversion_id"),
        ("conversion_complete", "conversion_id"),
        ("validation_progress", "validation_id"),
        ("validation_complete", "validation_id"),
    ],
)
def test_all_other_types_of_the_catalogue_pass_in_the_same_envelope(server, kind, of):
    with follow(server, f"cat-{kind}") as client:
        server.event("pipeline", {"type": kind, of: f"cat-{kind}", "data": {"n": 1}, "metadata": {"m": 2}})
        told = envelope(client.until(kind))
        assert (told[of], told["data"], told["metadata"]) == (f"cat-{kind}", {"n": 1}, {"m": 2})


@pytest.mark.parametrize("kind", ["system_status", "maintenance_notice", "security_alert"])
def test_system_events_reach_everybody_or_whom_they_name(server, kind):
    with attend(server, f"a-{kind}", client_id="techdeck_aaaaaaaa") as ada, attend(server, f"b-{kind}", "admin") as ben:
        server.event("pipeline", {"type": kind, "data": {"status": "all"}})
        for client in [ada, ben]:
            assert envelope(client.until(kind))["data"] == {"status": "all"}
        for target in [{"client_id": "techdeck_aaaaaaaa"}, {"user_id": f"a-{kind}"}, {"role": "therapist"}]:
            server.event("pipeline", {"type": kind, "data": {"status": "some"}, **target})
            assert ada.until(kind)["data"] == {"status": "some"}
        ben.send({"type": "heartbeat"})
        ben.silent([kind], lambda: "heartbeat")


@pytest.mark.parametrize(
    "event, field",
    [
        ({"type": "progress_update", "operation_type": "x", "data": {"progress_percentage": 1, "status": "s", "current_step": "c"}}, "operation_id"),
        ({"type": "progress_update", "operation_id": "x", "operation_type": "x", "data": {"status": "s", "current_step": "c"}}, "data.progress_percentage"),
        ({"type": "progress_update", "operation_id": "x", "operation_type": "x", "data": {"progress_percentage": 1, "current_step": "c"}}, "data.status"),
        ({"type": "progress_update", "operation_id": "x", "operation_type": "x", "data": {"progress_percentage": "1", "status": "s", "current_step": "c"}}, "data.progress_percentage"),
        ({"type": "upload_progress", "upload_id": "x", "data": {"filename": "f", "total_bytes": 1}}, "data.bytes_uploaded"),
        ({"type": "pipeline_progress", "pipeline_id": "x", "data": {}}, "data.stage"),
        ({"type": "maintenance_notice"}, "data"),
        ({"type": "upload_error", "data": "text"}, "data"),
        ({"type": "upload_error", "upload_id": "", "data": {}}, "upload_id"),
        ({"type": "progress_update", "operation_id": "x", "operation_type": "x", "data": {**STEP, "progress_percentage": -5}}, "data.progress_percentage"),
        ({"type": "progress_update", "operation_id": "x", "operation_type": "x", "data": {**STEP, "errors": "none"}}, "data.errors"),
        ({"type": "progress_update", "operation_id": "x", "operation_type": "x", "data": {**STEP, "total_steps": "x"}}, "data.total_steps"),
        ({"type": "progress_update", "operation_id": "", "operation_type": "x", "data": STEP}, "operation_id"),
        ({"type": "upload_progress", "upload_id": "x", "data": {"filename": "f", "bytes_uploaded": -5, "total_bytes": 1}}, "data.bytes_uploaded"),
        ({"type": "security_alert", "data": {}, "room_id": ""}, "room_id"),
        ({"type": "security_alert", "data": {}, "user_id": ""}, "user_id"),
    ],
)  # fmt: skip
def test_what_is_missing_or_wrong_is_named_and_nothing_is_sent(server, event, field):
    status, answer = server.event("pipeline", event, status=None)
    assert (status, answer["code"], answer["details"]["field"]) == (400, 4005, field)


@pytest.mark.parametrize("room", ["nope", "chat:1", "operation:x", "pipeline_system:all", "broadcast:nope"])
def test_rooms_that_there_are_not_are_no_target(server, room):
    with attend(server, "ada") as client:
        answer = server.event("pipeline", {"type": "security_alert", "room_id": room, "data": {"secret": 1}}, status=404)
        assert (answer["code"], answer["details"]["field"]) == (4002, "room_id")
        client.send({"type": "heartbeat"})
        client.silent(["security_alert"], lambda: "heartbeat")


def test_what_a_backend_posts_with_a_users_token_is_the_backends(server):
    root = access("root", "admin")
    with follow(server, "by-token") as client:
        for event in [
            {"type": "progress_update", "operation_id": "by-token", "operation_type": "posted", "data": STEP},
            {"type": "heartbeat"},
        ]:
            event["client_id"] = client.greeting["client_id"]
            status, answer = server.http("POST", "/v1/profiles/pipeline/events", event, token=root)
            assert status == 200, answer
        told = client.until("progress_update", lambda message: message["operation_type"] == "posted")
        assert told["metadata"]["audit_trail_id"]
        client.until("heartbeat")


def test_an_operation_is_at_its_initialization_until_a_step_says_otherwise(server):
    with follow(server, "first-step") as client:
        change(server, "first-step", {"progress": 20})
        told = client.until("progress_update", lambda message: message["data"]["progress_percentage"] == 20)
        assert told["data"]["current_step"] == "initialization"
    start(server, "first-stage", kind="pipeline")
    with enter(server, "ada") as client:
        subscribe(client, "first-stage")
        change(server, "first-stage", {"progress": 20})
        assert client.until("pipeline_progress")["data"]["stage_progress"] == 0


def test_what_has_no_target_and_what_no_backend_may_say_is_refused(server):
    for event in [{"type": "upload_complete"}, {"type": "connection_ack"}, {"type": "nonsense"}, {}]:
        assert server.event("pipeline", event, status=None)[0] == 400, event
    assert server.http("POST", "/v1/profiles/pipeline/events", {"type": "system_status", "data": {}}, key=None)[0] == 401
    assert server.http("POST", "/v1/profiles/pipeline/events", {"type": "system_status", "data": {}}, token=access("ada"))[0] == 403


def test_clients_cannot_speak_as_a_backend(server):
    with enter(server, "eve") as client:
        client.send({"type": "system_status", "data": {"status": "forged"}})
        assert client.until("connection_error")["data"]["error_details"]["code"] == 4005


def test_a_message_goes_to_one_client_and_its_sender_knows_whether_it_was_there(server):
    with enter(server, "ada", client_id="techdeck_bbbbbbbb") as client:
        known = str(uuid.uuid4())
        event = {"type": "system_status", "data": {"n": 1}, "client_id": "techdeck_bbbbbbbb", "message_id": known}
        assert server.event("pipeline", event)["done"][0]["members"] == 1
        assert envelope(client.until("system_status"))["message_id"] == known
    gone = {"type": "system_status", "data": {}, "client_id": "techdeck_cccccccc"}
    assert server.event("pipeline", gone)["done"][0]["members"] == 0


def test_a_role_gets_only_what_it_may(server):
    with attend(server, "screen", "display") as display, attend(server, "ada") as ada:
        server.event("pipeline", {"type": "security_alert", "data": {"n": 1}})
        server.event("pipeline", {"type": "system_status", "data": {"n": 2}})
        ada.until("security_alert")
        display.silent(["security_alert"], lambda: "system_status")


def test_a_batch_is_sent_in_order_and_each_is_answered(server):
    with attend(server, "ada") as client:
        events = [{"type": "system_status", "data": {"n": number}} for number in range(100)]
        answers = server.event("pipeline", events)
        assert len(answers) == 100 and all(answer["done"][0]["members"] >= 1 for answer in answers)
        assert [client.until("system_status")["data"]["n"] for _ in range(100)] == list(range(100))
        assert server.event("pipeline", [events[0]] * 101, status=None)[0] == 400


def test_a_message_is_encoded_once_for_all_who_get_it(server):
    def encoded():
        return server.http("GET", "/v1/statistics", status=200)["encoded"]

    clients = [attend(server, f"crowd-{number}") for number in range(8)]
    before = encoded()
    server.event("pipeline", {"type": "maintenance_notice", "data": {"text": "x" * 4_000}})
    for client in clients:
        assert len(client.until("maintenance_notice")["data"]["text"]) == 4_000
    assert encoded() - before <= 2, "once as it is, once compressed"
    for client in clients:
        client.close()


def test_the_state_outlives_the_process_for_as_long_as_is_set():
    with tempfile.TemporaryDirectory() as folder:
        config, env = f'[store]\npath = "{folder}/pipeline.redb"\n', {"OPERATION_TTL_SECONDS": "2"}
        with Server(PROFILE, config=config, env=env) as server:
            start(server, "kept")
            change(server, "kept", {"status": "running", "metadata": {"compliance_status": "pending"}})
        with Server(PROFILE, config=config, env=env) as server, enter(server, "ada") as client:
            assert subscribe(client, "kept")["data"]["status"] == "in_progress"
            change(server, "kept/complete", {}, "POST")
            client.until("operation_complete")
            eventually("it is forgotten", lambda: server.http("GET", "/v1/operations/kept")[0] == 404)
