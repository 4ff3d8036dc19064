"""A health application's conversations: for who was invited, with typing, history, edits, reactions and read marks."""

import pytest
from conftest import ROOT, token
from health_client import HealthClient

PROFILE = str(ROOT / "engine/profile/profiles/health.toml")
FORBIDDEN, INVALID, NOT_FOUND, CONFLICT = 4013, 4005, 4002, 4014


def opened(server, user, path="/ws/chat", **options):
    return HealthClient.at(server, path, token(user), **options)


@pytest.fixture
def talk(server, request):
    """A conversation of this test's own, between a patient and a doctor."""
    name = request.node.name[:48]
    with opened(server, "pat") as pat:
        created = pat.ask("conversation_create", "conversation_created", conversation_id=name, title="Your results", participants=["doc", "nurse"])
        assert created["conversation_id"] == name and created["participants"] == ["doc", "nurse"]
    return name


def joined(server, user, talk, **options):
    client = opened(server, user, **options)
    client.joined = client.ask("conversation_join", "conversation_joined", conversation_id=talk)
    return client


def say(client, talk, text, **more):
    return client.ask("chat_message", "chat_message_sent", conversation_id=talk, text=text, **more)["message_number"]


def test_what_is_said_reaches_everybody_in_the_conversation_on_every_device(server, talk):
    with (
        joined(server, "pat", talk) as pat,
        joined(server, "doc", talk) as doc,
        joined(server, "doc", talk, path="/ws/combined") as tablet,
    ):
        assert doc.joined["title"] == "Your results" and "pat" in doc.joined["participants"]
        number = say(pat, talk, "Is this value normal?")
        for client in (pat, doc, tablet):
            message = client.until("chat_message")
            assert message["data"] == {"conversation_id": talk, "message_number": number, "sender_id": "pat", "text": "Is this value normal?"}
            assert message["timestamp"] and message["message_id"] and message["topic"] == f"conversation:{talk}"
        answer = say(doc, talk, "Yes, it is.", reply_to=number, mentions=["pat"])
        told = pat.until("chat_message", lambda message: message["data"]["sender_id"] == "doc")["data"]
        assert (told["message_number"], told["reply_to"], told["mentions"]) == (answer, number, ["pat"])


def test_who_types_is_told_to_the_others_and_ends(server, talk):
    with joined(server, "pat", talk) as pat, joined(server, "doc", talk) as doc:
        pat.send("typing_indicator", conversation_id=talk, typing=True)
        assert doc.until("typing_indicator")["data"] == {"conversation_id": talk, "user_id": "pat", "typing": True}
        with joined(server, "doc", talk, path="/ws/combined") as late:
            assert late.joined["typing"] == ["pat"]
        say(pat, talk, "there it is")
        pat.send("typing_indicator", conversation_id=talk, typing=False)
        assert doc.until("typing_indicator")["data"]["typing"] is False


def test_the_history_is_read_in_pages_and_holds_no_words_that_were_taken_back(server, talk):
    with joined(server, "pat", talk) as pat:
        numbers = [say(pat, talk, f"line {count}") for count in range(6)]
        pat.send("chat_edit", conversation_id=talk, message_number=numbers[0], text="line zero")
        edited = pat.until("chat_message_edited")["data"]
        assert (edited["message_number"], edited["text"], edited["edited_by"]) == (numbers[0], "line zero", "pat")
        pat.send("chat_delete", conversation_id=talk, message_number=numbers[1])
        assert pat.until("chat_message_deleted")["data"] == {"conversation_id": talk, "message_number": numbers[1]}
        with joined(server, "doc", talk) as doc:
            page = doc.ask("chat_history", "chat_history", conversation_id=talk, limit=3)
            first, second, third = page["messages"]
            assert first["text"] == "line zero" and first["edited_at"] and first["sender_id"] == "pat"
            assert second["deleted"] is True and "text" not in second
            assert third["text"] == "line 2"
            place = {"after": third["message_number"], "epoch": page["epoch"]}
            rest = doc.ask("chat_history", "chat_history", conversation_id=talk, **place)["messages"]
            assert [message["text"] for message in rest] == ["line 3", "line 4", "line 5"]
            newest = doc.ask("chat_history", "chat_history", conversation_id=talk, newest_first=True, limit=3)["messages"]
            assert newest[-1]["text"] == "line 5", "edits and deletions are no lines of their own"
        with opened(server, "nurse", "/ws/combined") as late:
            late.send("conversation_join", conversation_id=talk, last=10)
            texts = [late.until("chat_message")["data"].get("text") for _ in range(6)]
            assert texts == ["line zero", None, "line 2", "line 3", "line 4", "line 5"]


def test_read_marks_and_reactions_are_told_and_kept(server, talk):
    with joined(server, "pat", talk) as pat, joined(server, "doc", talk) as doc:
        number = say(pat, talk, "The swelling is gone")
        assert doc.ask("chat_read", "chat_read_saved", conversation_id=talk, message_number=number)["unread"] == 0
        assert pat.until("chat_read")["data"] == {"conversation_id": talk, "user_id": "doc", "message_number": number}
        doc.send("chat_reaction", conversation_id=talk, message_number=number, emoji="👍")
        assert pat.until("chat_reactions")["data"]["reactions"] == [{"emoji": "👍", "count": 1}]
        say(pat, talk, "Thank you")
        with opened(server, "doc", "/ws/combined") as later:
            again = later.ask("conversation_join", "conversation_joined", conversation_id=talk)
            assert again["reads"] == [{"user_id": "doc", "message_number": number}] and again["unread"] == 1


def test_who_comes_and_goes_is_told(server, talk):
    with joined(server, "pat", talk) as pat:
        doc = joined(server, "doc", talk)
        come = pat.until("conversation_presence", lambda told: "doc" in told["data"]["joined"])
        assert come["data"]["conversation_id"] == talk and come["data"]["count"] == 2
        assert doc.ask("conversation_leave", "conversation_left", conversation_id=talk)["conversation_id"] == talk
        doc.close()
        assert pat.until("conversation_presence", lambda told: "doc" in told["data"]["left"])["data"]["count"] == 1


def test_only_who_was_invited_is_in_a_conversation(server, talk):
    with joined(server, "pat", talk) as pat, opened(server, "eve") as eve:
        for kind, data in [
            ("conversation_join", {}),
            ("subscribe", {"topic": f"conversation:{talk}"}),
            ("chat_message", {"text": "let me in"}),
            ("chat_history", {}),
            ("typing_indicator", {"typing": True}),
            ("conversation_invite", {"user_id": "eve"}),
            ("conversation_close", {}),
        ]:
            assert eve.refused(kind, **{"conversation_id": talk, **data})["code"] == FORBIDDEN, kind
        assert eve.refused("conversation_join", conversation_id="none")["code"] == FORBIDDEN, "it does not tell which there are"
        assert eve.refused("conversation_create", conversation_id=talk)["code"] == CONFLICT
        pat.ask("conversation_invite", "conversation_invited", conversation_id=talk, user_id="eve")
        eve.ask("conversation_join", "conversation_joined", conversation_id=talk)
        pat.ask("conversation_remove", "conversation_removed", conversation_id=talk, user_id="eve")
        assert eve.until("topic_removed")["data"]["topic"] == f"conversation:{talk}"
        say(pat, talk, "among ourselves again")
        eve.socket.silent({"chat_message"}, lambda: eve.send("heartbeat") or "heartbeat_ack")
        with joined(server, "doc", talk) as doc:
            assert doc.refused("chat_edit", conversation_id=talk, message_number=1, text="forged")["code"] == FORBIDDEN
            pat.send("conversation_close", conversation_id=talk)
            assert doc.until("topic_closed")["data"]["topic"] == f"conversation:{talk}"


def test_a_conversation_that_a_client_names_not_gets_a_name(server):
    with opened(server, "pat") as pat:
        first = pat.ask("conversation_create", "conversation_created")["conversation_id"]
        assert len(first) == 36
        say(pat, first, "it works at once")
        assert pat.until("chat_message")["data"]["conversation_id"] == first


def test_a_conversation_that_is_there_is_not_made_again(server, talk):
    with opened(server, "doc") as doc:
        assert doc.refused("conversation_create", conversation_id=talk)["code"] == CONFLICT
        # What was to follow is not done: neither a second error, nor is one in it.
        strange = {"error", "conversation_created", "conversation_joined", "conversation_presence"}
        doc.socket.silent(strange, lambda: doc.send("heartbeat") or "heartbeat_ack")
        doc.ask("conversation_join", "conversation_joined", conversation_id=talk)


def test_a_backend_opens_a_conversation_invites_and_speaks(server):
    with opened(server, "pat", "/ws/combined") as pat:
        event = {"conversation_id": "support-7", "title": "Support", "participants": ["pat", "amy"]}
        answer = server.event("health", {"type": "conversation_create", "data": event})
        assert answer["type"] == "conversation_created"
        invited = pat.until("notification")["data"]
        assert (invited["type"], invited["data"]) == ("conversation_invitation", {"conversation_id": "support-7"})
        pat.ask("conversation_join", "conversation_joined", conversation_id="support-7")
        said = {"conversation_id": "support-7", "text": "How may we help you?"}
        assert server.event("health", {"type": "chat_message", "data": said})["data"]["message_number"] == 1
        message = pat.until("chat_message")["data"]
        assert message["text"] == "How may we help you?" and "sender_id" not in message


def test_a_subscription_to_a_conversation_is_like_joining_it(server, talk):
    with joined(server, "pat", talk) as pat, opened(server, "doc", "/ws/combined") as doc:
        say(pat, talk, "one")
        assert doc.ask("subscribe", "subscribed", topic=f"conversation:{talk}", last=1)["offset"] == 1
        assert doc.until("chat_message")["data"]["text"] == "one"
        doc.ask("unsubscribe", "unsubscribed", topic=f"conversation:{talk}")
        say(pat, talk, "two")
        doc.socket.silent({"chat_message"}, lambda: doc.send("heartbeat") or "heartbeat_ack")


def test_texts_are_bounded_and_hide_nothing(server, talk):
    with joined(server, "pat", talk) as pat:
        long = "x" * 4_000
        say(pat, talk, long)
        assert pat.until("chat_message")["data"]["text"] == long
        for text in ("", "x" * 4_001, "bell\u0007", "escape\u001b[2J", "nul\u0000"):
            assert pat.refused("chat_message", conversation_id=talk, text=text)["code"] == INVALID, repr(text)
        markup = "<script>alert(1)</script> 'and' \"quotes\" \\ \U0001f44d"
        say(pat, talk, markup)
        assert pat.until("chat_message")["data"]["text"] == markup, "what is text stays text"
        for kind, data in [("chat_message", {}), ("chat_edit", {"message_number": 1})]:
            for text in ("safe \u202egnp.exe", "\u2066hidden\u2069"):
                error = pat.refused(kind, conversation_id=talk, text=text, **data)
                assert (error["code"], error["details"]["field"]) == (INVALID, "data.text"), repr(text)
        hebrew = "שלום"
        say(pat, talk, hebrew)
        assert pat.until("chat_message")["data"]["text"] == hebrew


def test_a_conversation_that_a_backend_may_not_make_so_is_not_made(server, request):
    talk = {"conversation_id": request.node.name[:48], "title": "Your results"}
    for participants, field in [([], "data.participants"), ([5], "data.participants[]"), (["pat"] * 257, "data.participants")]:
        event = {"type": "conversation_create", "data": {**talk, "participants": participants}}
        assert server.event("health", event, status=400)["details"]["field"] == field
    server.event("health", {"type": "conversation_create", "data": {**talk, "participants": ["pat"]}}, status=200)
