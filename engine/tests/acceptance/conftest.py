"""A server of its own for each test module, and what plays clients and backends against it."""

import hashlib
import json
import os
import pathlib
import re
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import jwt
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

ROOT = pathlib.Path(__file__).resolve().parents[3]
BINARY = os.environ.get("FANFARE_BINARY", str(ROOT / "target/debug/fanfare"))
SECRET = "acceptance-secret-that-is-long-enough-for-hs256"
KEY = "fk_acceptance_key_of_the_backend"
PATIENCE = 15

CONFIG = f"""
[[auth.key]]
algorithm = "HS256"
secret = "{SECRET}"

[[auth.api_key]]
name = "backend"
sha256 = "{hashlib.sha256(KEY.encode()).hexdigest()}"
"""


class Server:
    """The real binary on a port of its own choice."""

    def __init__(self, *profiles, config="", env=None, shards=2):
        file = tempfile.NamedTemporaryFile("w", suffix=".toml", delete=False)
        file.write(config + CONFIG)
        file.close()
        self.config = file.name
        command = [BINARY, "serve", "--listen", "127.0.0.1:0", "--shards", str(shards), "--config", file.name]
        for profile in profiles:
            command += ["--profile", profile]
        environment = {**os.environ, **(env or {})}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        self.log = ""
        found = None
        for line in self.process.stderr:
            self.log += line
            found = re.search(r"listening on http://([0-9.:]+)", line)
            if found:
                break
        assert found, f"the server did not start:\n{self.log}"
        self.address = found.group(1)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stderr:
            self.log += line

    def stop(self):
        self.process.kill()
        self.process.wait()
        os.unlink(self.config)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def url(self, path):
        """Of a WebSocket."""
        return f"ws://{self.address}{path}"

    def open(self, path, token=None, **options):
        """A client at a path; `token` goes into the header."""
        headers = dict(options.pop("headers", {}))
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return Client(connect(self.url(path), additional_headers=headers, open_timeout=PATIENCE, **options))

    def http(self, method, path, body=None, key=KEY, token=None, status=None):
        """An HTTP request by the backend (or a token, or with `key=None` by nobody): the status and the answer."""
        headers = {"content-type": "application/json"}
        bearer = token or key
        if bearer:
            headers["authorization"] = f"Bearer {bearer}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{self.address}{path}", data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as response:
                found, text = response.status, response.read()
        except urllib.error.HTTPError as error:
            found, text = error.code, error.read()
        answer = json.loads(text) if text else None
        if status is not None:
            assert found == status, f"{method} {path}: {found} {answer}"
            return answer
        return found, answer

    def event(self, profile, event, status=200):
        """What a backend has to say in the application's own words."""
        return self.http("POST", f"/v1/profiles/{profile}/events", event, status=status)


class Client:
    """One WebSocket that speaks JSON."""

    def __init__(self, socket):
        self.socket = socket

    def send(self, message):
        self.socket.send(json.dumps(message))

    def receive(self, timeout=PATIENCE):
        message = self.socket.recv(timeout=timeout)
        return json.loads(message)

    def until(self, kind, accept=lambda message: True, timeout=PATIENCE):
        """The next message of a type; others before it are passed over."""
        deadline = time.monotonic() + timeout
        passed = []
        while True:
            left = deadline - time.monotonic()
            assert left > 0, f"no {kind}; there was {passed}"
            try:
                message = self.receive(left)
            except TimeoutError:
                raise AssertionError(f"no {kind}; there was {passed}") from None
            if message.get("type") == kind and accept(message):
                return message
            passed.append(message)

    def silent(self, kinds, marker):
        """Nothing of these types comes before the message that `marker` causes; it gives that message's type."""
        expected = marker()
        while True:
            message = self.receive()
            assert message.get("type") not in kinds, message
            if message.get("type") == expected:
                return message

    def ended(self):
        """How the server ends it: code and reason; what comes before is passed over."""
        try:
            while True:
                self.socket.recv(timeout=PATIENCE)
        except ConnectionClosed as closed:
            return closed.rcvd.code, closed.rcvd.reason

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def token(user, role="user", ttl=3600, **claims):
    """A token as the application's own backend makes it."""
    now = int(time.time())
    body = {"sub": user, "role": role, "iat": now, "exp": now + ttl, **claims}
    return jwt.encode({name: value for name, value in body.items() if value is not None}, SECRET, "HS256")


def eventually(what, ask, timeout=PATIENCE):
    """Asks until the answer is something."""
    deadline = time.monotonic() + timeout
    while True:
        answer = ask()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def server(request):
    """With the profile that the module names in PROFILE."""
    module = request.module
    with Server(module.PROFILE, config=getattr(module, "CONFIGURATION", "")) as running:
        yield running
