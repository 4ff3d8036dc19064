"""Documents: events that must be confirmed."""

import itertools
import re
import time

import pytest
from conftest import ROOT, Server, eventually, token

PROFILE = str(ROOT / "engine/profile/profiles/documents.toml")
JOB = {"document_id": "doc-7", "job_id": "job-1"}
ZONE = {"document_id": "doc-7", "processing_tool": "ocr", "status": "completed"}


def tab(server, user, client_id=None):
    client = server.open(f"/ws/{client_id or user}", token(user))
    assert client.receive()["type"] == "connection"
    return client


def queue(server, user, *numbers):
    """Zones that must be confirmed."""
    zones = [{**ZONE, "zone_id": f"z{number}", "zone_index": number} for number in numbers]
    server.event("documents", [{"type": "zone_completed", "user_id": user, "confirm": True, **zone} for zone in zones])


def zones(client, count):
    """The numbers and the zones of what comes next; the epoch of the ids is remembered for `confirm`."""
    told = [client.until("zone_completed") for _ in range(count)]
    ids = [re.fullmatch("msg_([0-9a-z]+)_([0-9]+)", zone["message_id"]) for zone in told]
    client.epoch = ids[-1][1]
    return [(int(of[2]), zone["zone_id"]) for of, zone in zip(ids, told)]


def confirm(client, number):
    message_id = f"msg_{client.epoch}_{number}"
    client.send({"type": "confirm", "message_id": message_id})
    assert client.until("confirmed")["message_id"] == message_id


def dead(server, user):
    return server.http("GET", f"/v1/users/{user}/dead_letters", status=200)["dead_letters"]


def quiet(server, client, user, kinds):
    """Nothing of these kinds before what is sent now."""

    def send():
        server.event("documents", {"type": "export_failed", "user_id": user, **JOB})
        return "export_failed"

    client.silent(kinds, send)


CLOCKS = itertools.count()


def two_waits(server):
    """Until somebody else who never confirms has been sent something for the third time."""
    user = f"clock-{next(CLOCKS)}"
    with tab(server, user) as clock:
        queue(server, user, 0)
        zones(clock, 3)


@pytest.fixture(scope="module")
def fast():
    """A wait that tests can afford."""
    with Server(PROFILE, env={"WS_CONFIRM_WAIT": "200ms"}) as running:
        yield running


def test_what_is_confirmed_comes_once_under_its_number(fast):
    with tab(fast, "ada") as client:
        queue(fast, "ada", 0, 1)
        assert zones(client, 2) == [(1, "z0"), (2, "z1")]
        for number in (1, 2):
            confirm(client, number)
        two_waits(fast)
        quiet(fast, client, "ada", ["zone_completed"])
        assert dead(fast, "ada") == []


def test_what_is_not_confirmed_comes_three_times_in_order_and_is_a_dead_letter_then(fast):
    with tab(fast, "ben") as client:
        queue(fast, "ben", 0, 1, 2)
        one_round = [(1, "z0"), (2, "z1"), (3, "z2")]
        assert zones(client, 9) == one_round * 3
        letters = eventually("it is given up", lambda: len(dead(fast, "ben")) == 3 and dead(fast, "ben"))
        assert {letter["deliveries"] for letter in letters} == {3}
        quiet(fast, client, "ben", ["zone_completed"])


def test_without_a_setting_one_second_is_waited_for_a_confirmation(server):
    with tab(server, "cleo") as client:
        queue(server, "cleo", 0)
        zones(client, 1)
        begin = time.monotonic()
        assert zones(client, 1) == [(1, "z0")]
        assert 0.7 < time.monotonic() - begin < 3
        confirm(client, 1)


def test_what_was_not_confirmed_when_the_connection_broke_comes_to_the_next_one_in_order(fast):
    with tab(fast, "dora") as client:
        queue(fast, "dora", 0, 1)
        zones(client, 2)
        confirm(client, 1)
        client.socket.socket.close()
    queue(fast, "dora", 2)
    with tab(fast, "dora", "tab-2") as again:
        assert zones(again, 2) == [(2, "z1"), (3, "z2")]


def test_who_was_never_there_gets_what_waits(fast):
    queue(fast, "emil", 0, 1)
    with tab(fast, "emil") as client:
        assert zones(client, 2) == [(1, "z0"), (2, "z1")]
        confirm(client, 2)


def test_each_attempt_has_the_number_of_the_first_so_that_a_client_knows_it(fast):
    with tab(fast, "finn") as client:
        queue(fast, "finn", 0)
        assert zones(client, 2) == [(1, "z0")] * 2


def test_one_device_confirms_for_the_user(fast):
    with tab(fast, "gwen", "a") as first, tab(fast, "gwen", "b") as second:
        queue(fast, "gwen", 0)
        zones(first, 1), zones(second, 1)
        confirm(second, 1)
        two_waits(fast)
        quiet(fast, first, "gwen", ["zone_completed"])


@pytest.mark.parametrize("message_id", ["msg_99", "msg_0000000_1", "msg_0000000_", "msg_", "", "x", "msg_-1", "msg_1.5", 7, None, "msg_99999999999999999999"])
def test_a_confirmation_of_what_was_never_sent_is_refused(fast, message_id):
    with tab(fast, "hugo") as client:
        client.send({"type": "confirm", "message_id": message_id})
        assert client.until("error")["code"] == 4005
        client.send({"type": "ping"})
        client.until("pong")


def test_after_the_queue_was_forgotten_no_id_is_given_again():
    """Numbers begin anew: with the ids of before a client would take new events for repeats."""
    ids = set()
    for _ in range(2):
        with Server(PROFILE) as fresh, tab(fresh, "nina") as client:
            queue(fresh, "nina", 0)
            event = client.until("zone_completed")
            for old in ids:
                client.send({"type": "confirm", "message_id": old})
                refusal = client.until("error")
                assert (refusal["code"], refusal["details"]["field"]) == (4005, "message_id")
            ids.add(event["message_id"])
    assert len(ids) == 2


def test_nobody_confirms_for_another(fast):
    with tab(fast, "iris") as iris, tab(fast, "eve") as eve:
        queue(fast, "iris", 0)
        zones(iris, 1)
        eve.send({"type": "confirm", "message_id": f"msg_{iris.epoch}_1"})
        assert eve.until("error")["code"] == 4005
        assert zones(iris, 1) == [(1, "z0")], "it comes again, since iris has not confirmed it"


def test_the_queue_is_bounded_and_what_did_not_fit_is_told():
    with Server(PROFILE, env={"WS_QUEUE_SIZE": "3"}) as small:
        with tab(small, "judy") as client:
            queue(small, "judy", 0)
            zones(client, 1)
            confirm(client, 1)
        queue(small, "judy", *range(1, 6))
        with tab(small, "judy", "tab-2") as again:
            gap = again.until("gap")
            assert (gap["from"], gap["to"]) == (2, 3)
            assert zones(again, 3) == [(4, "z3"), (5, "z4"), (6, "z5")]


@pytest.mark.parametrize(
    "to",
    [{"room": "document:doc-7"}, {"client": "tab-1"}, {"user_id": None, "room": "document:doc-7"}, {"user_id": "kim", "room": "document:doc-7"}],
)
def test_a_guarantee_that_nobody_could_give_is_refused(fast, to):
    """Only a user can confirm: for a room or a client the word would be empty."""
    for event in ({"type": "processing_started", **JOB}, {"type": "export_progress", **JOB, "progress": 1}):
        refusal = fast.event("documents", {**event, "confirm": True, **to}, status=400)
        assert refusal["details"]["field"] == "confirm", refusal


def test_what_is_not_to_be_confirmed_has_no_number_and_comes_once(fast):
    with tab(fast, "kurt") as client:
        fast.event("documents", {"type": "processing_completed", "user_id": "kurt", **JOB})
        assert client.until("processing_completed") == {"type": "processing_completed", **JOB}
        two_waits(fast)
        quiet(fast, client, "kurt", ["processing_completed"])
