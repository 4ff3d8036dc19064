//! What the commands of presence take and answer.

use crate::service::{Access, Field, Method, Place, Rule, Spec};

pub(super) const USER: [Field; 8] = [
    Field::required("user_id", Rule::Id, "The user."),
    Field::required("role", Rule::Text(128), "Its role."),
    Field::required("clients", Rule::Texts(1_000, 128), "The client ids of its connections."),
    Field::required("since", Rule::Time, "Since when it is there."),
    Field::required("last_activity", Rule::Time, "When it came or sent a heartbeat or `presence.set` last."),
    Field::optional("status", Rule::Text(64), "What it says that it is: online, away, busy."),
    Field::optional("page", Rule::Text(256), "Where it says that it is."),
    Field::optional("info", Rule::Object(1_024), "What else it says."),
];

pub(super) static COMMANDS: [Spec; 2] = [
    Spec {
        name: "presence.list",
        about: "Tells who is in a room; users with several connections once.",
        method: Method::Get,
        path: "/v1/rooms/{room}/presence",
        access: Access::Presence,
        place: Place::Room,
        fields: &[
            Field::optional("limit", Rule::Whole(1, 10_000), "At most so many users (1,000)."),
            Field::optional("after", Rule::Id, "Only users after this one, in the order of their ids."),
        ],
        answer: &[
            Field::required("room", Rule::Text(128), "The room."),
            Field::required(
                "count",
                Rule::Whole(0, u64::MAX),
                "Users; connections where presence is not kept.",
            ),
            Field::required("connections", Rule::Whole(0, u64::MAX), "Connections."),
            Field::required("members", Rule::Objects(10_000, &USER), "The users."),
            Field::required("more", Rule::Flag, "Whether there are more after the last one."),
            Field::required("kept", Rule::Flag, "Whether the room's type keeps presence."),
        ],
    },
    Spec {
        name: "presence.set",
        about: "Tells the room what the caller is doing; heartbeats with the same members in `data` do the same for every room.",
        method: Method::Put,
        path: "/v1/rooms/{room}/presence",
        access: Access::Presence,
        place: Place::Room,
        fields: &[
            Field::optional("status", Rule::Text(64), "What it is: online, away, busy."),
            Field::optional("page", Rule::Text(256), "Where it is."),
            Field::optional("info", Rule::Object(1_024), "What else is to be known."),
        ],
        answer: &[],
    },
];
