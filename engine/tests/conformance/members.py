"""Members of one room who come at different times. Prints what each has read when the end came: the offset at its join,
and the data of everything after it.

Usage: members.py URL
"""

import json
import sys
import threading

from websockets.sync.client import connect

MEMBERS = []
THREADS = []


def member(url):
    """Reads until the end; the first one lets others come."""
    of = {"offset": 0, "extensions": "", "data": []}
    MEMBERS.append(of)
    is_first = len(MEMBERS) == 1
    with connect(url, max_size=None) as socket:
        for text in socket:
            message = json.loads(text)
            if message["type"] == "welcome":
                socket.send(json.dumps({"type": "join", "id": 1, "room": "context:1"}))
            elif message["type"] == "joined":
                of["offset"] = message["offset"]
                of["extensions"] = socket.response.headers.get("Sec-WebSocket-Extensions", "")
            elif message["type"] == "say":
                of["data"].append(message["data"])
                if is_first and len(of["data"]) % 40 == 0:
                    start(url)
            elif message["type"] == "end":
                return


def start(url):
    """One more member."""
    thread = threading.Thread(target=member, args=(url,))
    THREADS.append(thread)
    thread.start()


start(sys.argv[1])
for thread in THREADS:
    thread.join()
print(json.dumps(MEMBERS))
