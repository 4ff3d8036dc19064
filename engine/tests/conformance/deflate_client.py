"""Members with and without permessage-deflate, of every window, in one room: all must read the same.

Usage: deflate_client.py ADDRESS TOKEN
"""

import json
import random
import sys

from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory as Deflate
from websockets.sync.client import connect

ADDRESS, TOKEN = sys.argv[1:3]
MESSAGES = 30


def member(extension=None):
    """A welcomed member of the room."""
    client = connect(
        f"ws://{ADDRESS}/v1/ws",
        additional_headers={"Authorization": f"Bearer {TOKEN}"},
        subprotocols=["fanfare.v1.json"],
        extensions=[extension] if extension else None,
        compression=None,
        max_size=None,
    )
    assert json.loads(client.recv(timeout=10))["type"] == "welcome"
    client.send(json.dumps({"type": "join", "id": 1, "room": "deflate:1"}))
    assert json.loads(client.recv(timeout=10))["type"] == "joined"
    return client


def main():
    offers = [
        Deflate(),
        Deflate(server_no_context_takeover=True),
        Deflate(client_no_context_takeover=True),
        Deflate(server_no_context_takeover=True, client_no_context_takeover=True),
        Deflate(client_max_window_bits=True),
        Deflate(client_max_window_bits=10),
    ] + [Deflate(server_max_window_bits=bits) for bits in range(9, 16)]
    compressed = [member(offer) for offer in offers]
    for client in compressed:
        agreed = client.response.headers["Sec-WebSocket-Extensions"]
        assert agreed.startswith("permessage-deflate"), agreed
    # zlib cannot make a window of 8 bits, so that offer is declined and the connection goes on without.
    refused = member(Deflate(server_max_window_bits=8))
    assert "Sec-WebSocket-Extensions" not in refused.response.headers
    members = compressed + [refused, member()]

    rng = random.Random(7)
    words = ["pulse", "breath", "ward", "ready", "late", "é", "\u2028", "\"", "\\", "0"]
    sent = []
    for number in range(MESSAGES):
        # Below and above the threshold, repetitive and not, up to a window's size.
        text = " ".join(rng.choice(words) for _ in range(rng.choice([1, 20, 400, 6000])))
        noise = "".join(chr(rng.randrange(32, 0x2FF)) for _ in range(rng.choice([0, 3000])))
        data = {"number": number, "text": text, "noise": noise}
        publisher = members[number % len(members)]
        publisher.send(json.dumps({"type": "publish", "room": "deflate:1", "event": "say", "data": data}))
        sent.append(data)
        for client in members:
            message = json.loads(client.recv(timeout=10))
            assert message["offset"] == number + 1, message["offset"]
            assert message["data"] == data, "the message changed on its way"
    for client in members:
        client.close()
    print(f"{len(members)} members read {MESSAGES} messages")


main()
