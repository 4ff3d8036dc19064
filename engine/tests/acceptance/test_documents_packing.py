"""Documents: messages that are packed: MessagePack and gzip, zlib with a mark, gzip of JSON."""

import gzip
import json
import re
import urllib.request
import zlib

import msgpack
import pytest
from conftest import PATIENCE, ROOT, Client, eventually, token
from websockets.exceptions import ConnectionClosed

PROFILE = str(ROOT / "engine/profile/profiles/documents.toml")
MARK = b"COMPRESSED:"
JOB = {"document_id": "doc-7", "job_id": "job-1"}
PACKED = ["msgpack", "gzip", "zlib"]


def opened(frame):
    """The bytes of a frame without its compression, and whether there was one."""
    if frame[:2] == b"\x1f\x8b":
        return gzip.decompress(frame), True
    if frame.startswith(MARK):
        return zlib.decompress(frame[len(MARK) :]), True
    return frame, False


class Packed(Client):
    """A client that reads and writes as its encoding says."""

    def __init__(self, server, user, encoding, client_id="packed"):
        socket = server.open(f"/ws/{client_id}?encoding={encoding}", token(user)).socket
        super().__init__(socket)
        self.encoding = encoding
        self.greeting = self.receive()

    def frame(self, timeout=PATIENCE):
        frame = self.socket.recv(timeout=timeout)
        assert isinstance(frame, bytes), "packed messages are binary"
        return frame

    def receive(self, timeout=PATIENCE):
        self.last, self.was_compressed = opened(self.frame(timeout))
        return msgpack.unpackb(self.last) if self.encoding == "msgpack" else json.loads(self.last)

    def send(self, message, compress=False):
        data = msgpack.packb(message) if self.encoding == "msgpack" else json.dumps(message).encode()
        if compress:
            data = MARK + zlib.compress(data) if self.encoding == "zlib" else gzip.compress(data)
        self.socket.send(data)


def done(user, **more):
    return {"type": "processing_completed", "user_id": user, **JOB, **more}


@pytest.mark.parametrize("encoding", PACKED)
def test_a_client_that_asks_gets_every_message_packed(server, encoding):
    with Packed(server, f"p-{encoding}", encoding) as client:
        assert (client.greeting["type"], client.greeting["client_id"]) == ("connection", "packed")
        server.event("documents", done(f"p-{encoding}", confidence=0.25, results={"pages": [1, 2, None, True, "ü"]}))
        message = client.until("processing_completed")
        assert message == {"type": "processing_completed", **JOB, "confidence": 0.25, "results": {"pages": [1, 2, None, True, "ü"]}}
        assert not client.was_compressed, "short messages are not worth it"


@pytest.mark.parametrize("encoding", PACKED)
def test_what_is_longer_than_1024_bytes_is_compressed_and_what_is_not_is_not(server, encoding):
    user = f"size-{encoding}"
    with Packed(server, user, encoding) as client:
        seen = set()
        for size in range(900, 1060, 7):
            server.event("documents", done(user, note="n" * size))
            assert client.until("processing_completed")["note"] == "n" * size
            assert client.was_compressed == (len(client.last) > 1024), (size, len(client.last))
            seen.add(client.was_compressed)
        assert seen == {True, False}
        server.event("documents", done(user, note="word " * 4_000))
        assert client.until("processing_completed")["note"] == "word " * 4_000


def test_who_does_not_ask_gets_text(server):
    for query in ("", "?encoding=json"):
        client = server.open(f"/ws/plain{query}", token("plain"))
        assert client.receive()["type"] == "connection"
        server.event("documents", done("plain", note="n" * 3_000))
        frame = client.socket.recv(timeout=PATIENCE)
        assert isinstance(frame, str) and json.loads(frame)["note"] == "n" * 3_000
        client.close()


@pytest.mark.parametrize("encoding", PACKED)
@pytest.mark.parametrize("compress", [False, True])
def test_what_a_client_sends_may_be_packed_the_same_way_or_be_text(server, encoding, compress):
    with Packed(server, "sender", encoding, f"s-{encoding}-{compress}") as client:
        client.send({"type": "ping", "pad": "x" * 2_000}, compress)
        assert client.until("pong")
        client.socket.send('{"type":"ping"}')
        assert client.until("pong")
        client.send({"type": "confirm", "message_id": "msg_7"}, compress)
        assert client.until("error")["code"] == 4005


@pytest.mark.parametrize("encoding", PACKED)
def test_what_cannot_be_unpacked_is_refused_and_a_bomb_is_not_inflated(server, encoding):
    bad = [b"", b"\x1f\x8b\x08\x00garbage", MARK + b"garbage", b"\xff\xfe\x00", b"\xc1", gzip.compress(b"{")]
    for number, frame in enumerate(bad):
        client = Packed(server, "clumsy", encoding, f"bad-{number}")
        client.socket.send(frame)
        # Either the message is refused or the connection ends; never is anything done.
        try:
            assert client.until("error")["code"] == 4005, frame
        except ConnectionClosed as closed:
            assert closed.rcvd.code in (1003, 1007, 1009, 4005), frame
        client.close()
    bomb = zlib.compress(b'{"type":"ping","pad":"' + b"x" * 5_000_000 + b'"}')
    bomb = MARK + bomb if encoding == "zlib" else gzip.compress(msgpack.packb({"type": "ping", "pad": "x" * 5_000_000}))
    client = Packed(server, "bomber", encoding, "bomb")
    client.socket.send(bomb)
    assert "larger than 65536 bytes" in client.until("error")["message"]


@pytest.mark.parametrize("encoding", ["brotli", "", "JSON"])
def test_an_encoding_that_nobody_knows_is_refused(server, encoding):
    client = server.open(f"/ws/tab-1?encoding={encoding}", token("ada"))
    assert client.until("error")["code"] == 4005
    assert client.ended()[0] == 4005


def metric(server, name):
    with urllib.request.urlopen(f"http://{server.address}/metrics") as response:
        text = response.read().decode()
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? ([0-9.e+]+)$", text, re.M))


def test_a_message_is_packed_and_compressed_once_for_all_who_get_it(server):
    users = [f"many-{number}" for number in range(20)]
    server.http("PUT", "/v1/rooms/document:once", {"invited": users}, status=200)
    clients = [Packed(server, user, "msgpack", user) for user in users]
    for client in clients:
        client.send({"type": "subscribe", "document_id": "once"})
        client.until("subscribed")
    count = 30
    before = metric(server, "fanfare_encoded_total"), metric(server, "fanfare_published_total")
    for number in range(count):
        server.event("documents", {"type": "processing_completed", "room": "document:once", **JOB, "note": "word " * 500, "n": number})
    frames = [[client.frame() for _ in range(count)] for client in clients]
    assert all(own == frames[0] for own in frames), "the same bytes for everybody"
    assert [msgpack.unpackb(opened(frame)[0])["n"] for frame in frames[0]] == list(range(count))
    assert all(frame[:2] == b"\x1f\x8b" for frame in frames[0])
    published = lambda: metric(server, "fanfare_published_total") - before[1] >= count
    eventually("they are counted", published)
    encoded = metric(server, "fanfare_encoded_total") - before[0]
    # Counts come with a delay, so some of what the clients were sent before is among them. Once for each client would be 600.
    assert count <= encoded < count * len(users) / 2, f"{encoded} encodings of {count} messages for {len(users)} clients"
    for client in clients:
        client.close()


def test_packed_and_plain_clients_share_a_room(server):
    users = [f"mixed-{encoding}" for encoding in PACKED] + ["mixed-plain"]
    server.http("PUT", "/v1/rooms/document:mixed", {"invited": users}, status=200)
    clients = [Packed(server, f"mixed-{encoding}", encoding, encoding) for encoding in PACKED]
    clients.append(server.open("/ws/plain", token("mixed-plain")))
    for client in clients:
        client.send({"type": "subscribe", "document_id": "mixed"})
        client.until("subscribed")
    server.event("documents", {"type": "processing_completed", "room": "document:mixed", **JOB, "note": "word " * 500})
    told = [client.until("processing_completed") for client in clients]
    assert all(message == told[0] for message in told) and told[0]["note"] == "word " * 500
    for client in clients:
        client.close()
