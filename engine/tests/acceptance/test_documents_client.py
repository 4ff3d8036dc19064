"""Documents: the application's own client, a hook for React, played by Node."""

import json
import pathlib
import queue
import shutil
import subprocess
import threading
import time

import pytest
from conftest import PATIENCE, ROOT, Server, token

PROFILE = str(ROOT / "engine/profile/profiles/documents.toml")
CLIENT = pathlib.Path(__file__).with_name("documents_client.mjs")
JOB = {"document_id": "doc-7", "job_id": "job-1"}

pytestmark = pytest.mark.skipif(not shutil.which("node"), reason="needs Node")


class Hook:
    """The client in a process of its own."""

    def __init__(self, server, path, **options):
        options = {"url": server.url(path), **options}
        command = ["node", "--no-warnings", "--experimental-websocket", str(CLIENT), json.dumps(options)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(json.loads(line))

    def do(self, action, **more):
        self.process.stdin.write(json.dumps({"do": action, **more}) + "\n")
        self.process.stdin.flush()
        return self.until(lambda told: told.get("did") == action)

    def until(self, fits):
        """The next thing it tells that fits; and what it told before."""
        deadline, passed = time.monotonic() + PATIENCE, []
        while True:
            try:
                told = self.lines.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"it never came; there was {passed}") from None
            if fits(told):
                return told, passed
            passed.append(told)

    def state(self, state):
        return self.until(lambda told: told.get("state") == state)[0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def progress(percent, document="doc-7"):
    return {
        "type": "processing_progress",
        "user_id": "ada",
        "document_id": document,
        "job_id": "job-1",
        "progress": percent,
        "current_zone": f"zone-{percent}",
        "zones_completed": 0,
        "zones_total": 3,
        "current_operation": "reading",
    }


def test_the_hook_connects_is_greeted_and_shows_progress_until_it_unsubscribes(server):
    with Hook(server, f"/ws/tab-1?token={token('ada')}") as hook:
        hook.state("connected")
        hook.do("on", type="export_failed")
        hook.do("watch", document_id="doc-7")
        server.event("documents", [progress(10), progress(15, "another"), progress(20)])
        assert hook.until(lambda told: "progress" in told)[0] == {"progress": 10, "zone": "zone-10"}
        assert hook.until(lambda told: "progress" in told)[0] == {"progress": 20, "zone": "zone-20"}
        server.event("documents", {"type": "processing_completed", "user_id": "ada", **JOB})
        assert hook.until(lambda told: "progress" in told)[0] == {"progress": 100, "done": True}
        hook.do("unwatch", document_id="doc-7")
        server.event("documents", [progress(30), {"type": "export_failed", "user_id": "ada", **JOB}])
        _, passed = hook.until(lambda told: "heard" in told)
        assert not any("progress" in told for told in passed)
        hook.do("look")


def test_the_hooks_last_message_is_whatever_came_last(server):
    with Hook(server, f"/ws/tab-2?token={token('ada')}") as hook:
        hook.state("connected")
        hook.do("on", type="pong")
        hook.do("send", message={"type": "ping"})
        hook.until(lambda told: "heard" in told)
        hook.process.stdin.write('{"do":"look"}\n')
        hook.process.stdin.flush()
        seen, _ = hook.until(lambda told: "isConnected" in told)
        assert seen["isConnected"] is True and seen["lastMessage"]["type"] == "pong"


def test_the_hook_is_back_within_three_seconds_and_misses_nothing(server):
    with Hook(server, f"/ws/tab-3?token={token('ben')}", reconnect=True, reconnectInterval=100) as hook:
        hook.state("connected")
        hook.do("on", type="processing_completed")
        begin = time.monotonic()
        server.http("DELETE", "/v1/connections/tab-3", status=200)
        hook.state("disconnected")
        server.event("documents", {"type": "processing_completed", "user_id": "ben", **JOB})
        hook.state("connected")
        assert time.monotonic() - begin < 3
        heard, _ = hook.until(lambda told: "heard" in told)
        assert heard["heard"]["job_id"] == "job-1"


def test_a_hook_that_unmounts_does_not_come_back(server):
    with Hook(server, f"/ws/tab-4?token={token('ada')}", reconnect=True, reconnectInterval=50) as hook:
        hook.state("connected")
        hook.do("unmount")
        assert hook.state("given up")["tries"] == 0


def test_a_hook_tries_as_often_as_it_may_and_then_gives_up():
    mortal = Server(PROFILE)
    with Hook(mortal, f"/ws/tab-5?token={token('ada')}", reconnect=True, reconnectInterval=20, reconnectAttempts=3) as hook:
        hook.state("connected")
        mortal.stop()
        assert hook.state("given up")["tries"] == 3


def test_a_hook_without_a_good_token_sees_4001(server):
    with Hook(server, "/ws/tab-6?token=nonsense") as hook:
        ended = hook.state("disconnected")
        assert (ended["code"], ended["reason"]) == (4001, "Unauthorized")
