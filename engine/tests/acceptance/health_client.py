"""The client of a health application: comes back by itself, takes up what it had, and acknowledges what it is told in conversations."""

import random
import time
from urllib.parse import quote

from websockets.exceptions import ConnectionClosed, InvalidStatus

# Codes after which it comes back; after others somebody has to do something first.
AGAIN = {1001, 1006, 1012, 1013, 4000, 4006, 4007, 4008, 4010}


class GaveUp(Exception):
    """So many attempts failed."""


class HealthClient:
    """`dial(query)` opens a connection (see `at`); `sleep` is there for tests that do not want to wait."""

    def __init__(self, dial, first=1.0, cap=30.0, attempts=5, sleep=time.sleep, acknowledges=True):
        self.dial, self.first, self.cap, self.attempts, self.sleep = dial, first, cap, attempts, sleep
        self.acknowledges = acknowledges
        self.waits, self.seen, self.passed, self.greeting = [], set(), [], None
        self.connect()

    @classmethod
    def at(cls, server, path, token, **options):
        """A client of one of the four endpoints."""
        return cls(lambda query: server.open(path + query, token=token), **options)

    def connect(self):
        """Opens the connection; what fails is tried again, each time later, and never at the same time as everybody else."""
        self.state = "CONNECTING"
        for attempt in range(self.attempts + 1):
            try:
                self.socket = self.dial(self.query())
                self.state = "CONNECTED"
                self.greeting = self.socket.until("connection_state")["data"]
                self.state = self.greeting["state"]
                return
            except (OSError, InvalidStatus, ConnectionClosed):
                if attempt == self.attempts:
                    break
                longest = min(self.cap, self.first * 2**attempt)
                self.waits.append(longest)
                self.sleep(longest * random.uniform(0.5, 1))
        self.state = "ERROR"
        raise GaveUp(f"{self.attempts} attempts failed")

    def query(self):
        """What takes up the last connection."""
        if not self.greeting:
            return ""
        return "?resume=" + quote(self.greeting["resume_token"])

    def lost(self, closed):
        """The connection has ended: comes back if the code says that it may."""
        code = closed.rcvd.code if closed.rcvd else 1006
        self.state = "ERROR" if code in AGAIN else "DISCONNECTED"
        if code not in AGAIN:
            raise closed
        self.connect()

    def send(self, kind, **data):
        """Says something, over the next connection if this one has ended."""
        try:
            self.socket.send({"type": kind, "data": data})
        except ConnectionClosed as closed:
            self.lost(closed)
            self.socket.send({"type": kind, "data": data})

    def receive(self, **options):
        """The next message; each only once, however often it was sent."""
        while True:
            try:
                message = self.socket.receive(**options)
            except ConnectionClosed as closed:
                self.lost(closed)
                continue
            topic, offset = message.get("topic", ""), message.get("offset")
            if offset is None:
                return message
            if self.acknowledges and topic.startswith("conversation:"):
                self.send("message_ack", conversation_id=topic.partition(":")[2], message_number=offset)
            if message["message_id"] not in self.seen:
                self.seen.add(message["message_id"])
                return message

    def until(self, kind, accept=lambda message: True):
        """The next message of a type; others before it wait for who asks for them."""
        fits = lambda message: message["type"] == kind and accept(message)
        for number, message in enumerate(self.passed):
            if fits(message):
                return self.passed.pop(number)
        while not fits(message := self.receive()):
            self.passed.append(message)
        return message

    def ask(self, kind, answer, **data):
        """Says something and returns the body of what is answered."""
        self.send(kind, **data)
        message = self.until(answer)
        return message.get("data", message)

    def refused(self, kind, **data):
        """Says something that is refused: the error."""
        self.send(kind, **data)
        return self.until("error")

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
