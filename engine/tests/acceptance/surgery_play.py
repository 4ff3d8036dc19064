"""What the tests of the scheduler have in common: its messages as its document has them, and who says and hears them."""

from itertools import count

from conftest import ROOT, token

PROFILE = str(ROOT / "engine/profile/profiles/surgery.toml")
PATH = "/api/ws/ws"

SCHEDULE = {
    "type": "schedule_update",
    "user_id": 1,
    "data": {
        "action": "create",
        "surgery_id": 123,
        "room_id": 1,
        "schedule_date": "2024-01-15",
        "changes": {"start_time": "09:00"},
        "affected_surgeries": [124, 125],
    },
}
OPTIMIZATION = {
    "type": "optimization_progress",
    "user_id": 1,
    "data": {
        "optimization_id": "opt-123",
        "progress_percentage": 50.0,
        "current_iteration": 50,
        "total_iterations": 100,
        "current_score": 85.5,
        "best_score": 90.2,
        "time_elapsed": 30.0,
        "status": "running",
    },
}
CONFLICT = {
    "type": "conflict_notification",
    "data": {
        "conflict_id": "conflict-123",
        "conflict_type": "room_overlap",
        "severity": "critical",
        "description": "Room scheduling conflict detected",
        "affected_surgeries": [123, 124],
        "suggested_actions": ["Reschedule one surgery"],
    },
}
PRESENCE = {
    "type": "user_presence",
    "data": {
        "user_id": 1,
        "action": "join",
        "username": "john_doe",
        "role": "admin",
        "current_page": "/schedule",
        "connection_id": "conn-123",
    },
}
EMERGENCY = {
    "type": "emergency_alert",
    "user_id": 1,
    "data": {
        "emergency_id": "emergency-456",
        "emergency_type": "trauma",
        "priority": "immediate",
        "description": "Emergency trauma surgery required",
        "surgery_id": 789,
        "patient_name": "John Doe",
        "surgery_type": "Emergency Surgery",
    },
}
NOTIFICATION = {
    "type": "system_notification",
    "data": {"title": "Maintenance tonight", "message": "From 22:00 to 23:00", "severity": "warning"},
}
EVENTS = [SCHEDULE, OPTIMIZATION, CONFLICT, EMERGENCY]
MARKS = count()


def post(server, event, status=200, **members):
    """What the application's backend has to say."""
    return server.event("surgery", {**event, **members}, status=status)


def enter(server, user, role="nurse", **claims):
    """A client that is there for everybody: nothing greets it, so it asks for something and waits for that."""
    client = server.open(f"{PATH}?token={token(user, role, **claims)}")
    client.user = user
    client.before = settle(client)
    return client


def settle(client):
    """What was on its way has come; gives it."""
    client.send({"type": "message_history", "data": {"limit": 1}})
    passed = []
    while (message := client.receive())["type"] != "message_history":
        passed.append(message)
    return passed


def heard(client, server):
    """The types of events that a client got so far. Messages to a user and to all come in no order, so each way has its end."""
    number = next(MARKS)
    post(server, {"type": "marker", "data": {"number": number}})
    post(server, {"type": "marker", "data": {"number": number}}, target_users=[client.user])
    found, marks = [], 0
    while marks < 2:
        message = client.receive()
        if message["type"] == "marker":
            marks += message["data"]["number"] == number
        elif message["type"] != "user_presence":
            found.append(message["type"])
    return found
