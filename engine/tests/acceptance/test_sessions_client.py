"""Live sessions of a group: the application's own browser client, as it is."""

import json
import queue
import subprocess
import threading
from pathlib import Path

from conftest import PATIENCE, Server, eventually
from test_sessions import PROFILE, enter, ticket
from test_sessions_events import tell

SCRIPT = Path(__file__).with_name("sessions_client.mjs")
CONFIGURATION = """
[profile.sessions]
messages_per_minute = 6000
"""


class Browser:
    """The client in a process of its own; `speed` is how much faster its time runs."""

    def __init__(self, server, session, user, kind="client", speed=100):
        arguments = [f"ws://{server.address}", session, user, ticket(user, session), kind, str(speed)]
        command = ["node", "--no-warnings", "--experimental-websocket", str(SCRIPT), *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.said = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.said.put(json.loads(line))

    def until(self, what, accept=lambda said: True):
        passed = []
        while True:
            try:
                said = self.said.get(timeout=PATIENCE)
            except queue.Empty:
                raise AssertionError(f"no {what}; there was {passed}") from None
            if said["what"] == what and accept(said):
                return said
            passed.append(said)

    def do(self, *call):
        self.process.stdin.write(json.dumps(call) + "\n")
        self.process.stdin.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def is_a(kind):
    return lambda said: said["message"]["type"] == kind


def test_every_handler_of_the_client_is_told_what_it_expects(server):
    with enter(server, "web-1", "ina", "instructor") as ina, Browser(server, "web-1", "user-123") as browser:
        assert browser.until("onWelcome")["message"]["session_id"] == "web-1"
        assert ina.until("participant_joined")["content"]["name"] == "user-123"
        tell(server, "web-1", "session.started", data={"title": "Morning"})
        assert browser.until("onCustomMessage", is_a("session_started"))["message"]["content"]["title"] == "Morning"
        with enter(server, "web-1", "ben"):
            assert browser.until("onParticipantJoined")["content"]["name"] == "ben"
        tell(server, "web-1", "technique.changed", data={"title": "4-7-8", "instruction": "Breathe in", "duration": 60})
        assert browser.until("updateTechnique")["args"] == ["4-7-8", "Breathe in", 60]
        tell(server, "web-1", "hrv.milestone", data={"message": "Well done", "badge": "calm-1"})
        assert browser.until("showAchievement")["args"] == ["Well done", "calm-1"]
        browser.do("sendFeedback", "4-7-8", 5)
        browser.until("onCustomMessage", is_a("feedback_received"))
        assert ina.until("technique_feedback")["content"]["rating"] == 5
        browser.do("send", {"type": "nonsense"})
        assert browser.until("onError")["message"]["code"] == 4005
        tell(server, "web-1", "session.ending", data={"summary": {"minutes": 10}})
        assert browser.until("onSessionEnding")["message"]["content"]["summary"] == {"minutes": 10}
        assert browser.until("close")["code"] == 1000


def test_its_heartbeats_are_answered(server):
    with Browser(server, "web-2", "user-123", speed=1000) as browser:
        for _ in range(3):
            browser.until("onCustomMessage", is_a("heartbeat_ack"))


def cut(server, user):
    server.http("POST", "/v1/admin/disconnect", {"user_id": user, "reconnect": True}, status=200)


def test_it_comes_back_after_a_second_gets_what_it_missed_and_sends_what_waited(server):
    with enter(server, "web-3", "ina", "instructor") as ina, Browser(server, "web-3", "user-123", speed=2) as browser:
        browser.until("onWelcome")
        cut(server, "user-123")
        browser.until("close")
        browser.do("sendFeedback", "Box Breathing", 3)
        tell(server, "web-3", "technique.changed", data={"title": "meanwhile", "instruction": "", "duration": 1})
        assert browser.until("wait")["ms"] == 1000
        browser.until("onWelcome")
        assert browser.until("updateTechnique")["args"] == ["meanwhile", "", 1]
        assert ina.until("technique_feedback")["content"]["rating"] == 3


def test_after_five_attempts_that_double_their_delay_it_gives_up():
    with Server(PROFILE) as server, Browser(server, "web-5", "user-123", speed=1000) as browser:
        browser.until("onWelcome")
        server.process.kill()
        browser.until("close")
        assert [browser.until("wait")["ms"] for _ in range(5)] == [1000, 2000, 4000, 8000, 16000]
        assert browser.until("onMaxReconnectFailed")["delay"] == 30000


def test_the_page_of_the_application_shows_who_joined_and_the_technique(server):
    with Browser(server, "web-6", "user-123", "view") as view:
        view.until("view", lambda said: said["type"] == "welcome")
        with enter(server, "web-6", "ben"), enter(server, "web-6", "cyd"):
            view.until("view", lambda said: said["participants"] == ["ben", "cyd"])
        tell(server, "web-6", "technique.changed", data={"title": "4-7-8"})
        assert view.until("view", lambda said: said["type"] == "technique_changed")["technique"] == "4-7-8"
        view.do("sendFeedback", None, 4)
        view.until("view", lambda said: said["type"] == "feedback_received")
        cut(server, "user-123")
        assert view.until("wait")["ms"] == 3000
        view.until("view", lambda said: said["type"] == "welcome")


def test_what_a_client_has_been_through_is_known_afterwards(server):
    with Browser(server, "web-7", "user-7") as browser:
        browser.until("onWelcome")
    ended = eventually("it is gone", lambda: server.http("GET", "/v1/connections/ended?user=user-7")[1]["ended"])
    assert ended[0]["client_id"] == "user-7" and ended[0]["duration_ms"] >= 0
