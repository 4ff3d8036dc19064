"""The pipeline dashboard's own client, as its document describes it, and what the tests of its profile have in common."""

import asyncio
import contextlib
import json
import urllib.parse
import uuid
from datetime import datetime, timezone

import websockets
from conftest import PATIENCE, ROOT, eventually, token

PROFILE = str(ROOT / "engine/profile/profiles/pipeline.toml")
PATH = "/ws/pipeline"


def access(user, role="therapist", **claims):
    """A token as the pipeline's backend makes it: `user_id` and no `sub`."""
    return token(user, role, **{"sub": None, "user_id": user, "type": "access", **claims})


def address(auth_token, client_id=None, metadata=None, **more):
    """Path and query of a connection."""
    query = {"client_id": client_id or f"techdeck_{uuid.uuid4().hex[:8]}", "auth_token": auth_token, **more}
    if metadata is not None:
        query["metadata"] = metadata if isinstance(metadata, str) else json.dumps(metadata)
    return f"{PATH}?{urllib.parse.urlencode({name: value for name, value in query.items() if value is not None})}"


def enter(server, user, role="therapist", client_id=None, **more):
    """A client that is welcomed; `greeting` is what it was told. It takes whatever comes, read or not, as closing would wait otherwise."""
    client = server.open(address(access(user, role), client_id, **more), max_queue=None)
    client.greeting = client.receive()
    assert client.greeting["type"] == "connection_ack", client.greeting
    return client


def attend(server, *args, **more):
    """The same, in the room of what is said to everybody, which is joined after the greeting."""
    client = enter(server, *args, **more)
    path = f"/v1/connections/{client.greeting['client_id']}"
    eventually("it is there", lambda: server.http("GET", path, status=200)["rooms"])
    return client


class PipelineClient:
    """As the application's frontend connects, subscribes, answers pings and hands out what it is told."""

    def __init__(self, url, connection_timeout=PATIENCE):
        self.ws_url = url
        self.connection_timeout = connection_timeout
        self.client_id = None
        self.websocket = None
        self.message_handlers = {}
        self.progress_callbacks = {}
        self.connection_state = "disconnected"
        self.received = []
        self.errors = []
        self.completed = []
        self.health = []
        self.ui_events = []
        self.changed = asyncio.Event()
        self._receiver = None

    async def connect(self, auth_token, client_metadata=None):
        if not auth_token:
            raise ValueError("Authentication token is required")
        self.client_id = f"techdeck_{uuid.uuid4().hex[:8]}"
        ws_url = f"{self.ws_url}?client_id={self.client_id}&auth_token={auth_token}"
        if client_metadata:
            ws_url += f"&metadata={urllib.parse.quote(json.dumps(client_metadata))}"
        try:
            self.websocket = await websockets.connect(ws_url)
            self.connection_state = "connecting"
            acknowledged = json.loads(await asyncio.wait_for(self.websocket.recv(), self.connection_timeout))
            if acknowledged["type"] != "connection_ack":
                raise ConnectionError("No connection acknowledgment received")
        except Exception:
            self.connection_state = "disconnected"
            return False
        self.acknowledged = acknowledged
        self.connection_state = "connected"
        self._receiver = asyncio.create_task(self._receive())
        return True

    async def subscribe_to_operation(self, operation_id, callback):
        self.progress_callbacks[operation_id] = callback
        await self.send_message({"type": "subscribe_operation", "operation_id": operation_id, "client_id": self.client_id})

    async def send_message(self, message):
        if self.connection_state != "connected":
            raise ConnectionError("WebSocket not connected")
        said_at = datetime.now(timezone.utc).isoformat()
        await self.websocket.send(json.dumps({**message, "client_id": self.client_id, "timestamp": said_at}))

    async def _receive(self):
        try:
            while self.connection_state == "connected":
                await self._handle(json.loads(await self.websocket.recv()))
        except websockets.ConnectionClosed:
            self.connection_state = "disconnected"
            self.changed.set()

    async def _handle(self, message):
        self.received.append(message)
        kind = message.get("type")
        if kind == "progress_update":
            await self._progress(message)
        elif kind == "operation_complete":
            self.completed.append(message)
        elif kind.endswith("_error"):
            self.errors.append(message)
        elif kind == "heartbeat_ping":
            await self.send_message({"type": "heartbeat_pong", "sequence_number": message["sequence_number"]})
        elif kind == "connection_health":
            self.health.append(message)
        if kind in self.message_handlers:
            await self.message_handlers[kind](message)
        self.changed.set()

    async def _progress(self, message):
        operation_id, data = message.get("operation_id"), message.get("data", {})
        if operation_id in self.progress_callbacks:
            await self.progress_callbacks[operation_id](data)
        self.ui_events.append(
            {
                "operation_id": operation_id,
                "progress_percentage": data.get("progress_percentage", 0),
                "status": data.get("status", "unknown"),
                "current_step": data.get("current_step", ""),
                "errors": data.get("errors", []),
                "warnings": data.get("warnings", []),
            }
        )

    async def until(self, what, holds):
        """Waits until something holds of what this client has got."""
        async with asyncio.timeout(PATIENCE):
            while not holds():
                self.changed.clear()
                try:
                    await asyncio.wait_for(self.changed.wait(), 0.2)
                except TimeoutError:
                    continue
        assert holds(), what

    async def close(self):
        if self._receiver:
            self._receiver.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._receiver
        if self.websocket:
            await self.websocket.close()
