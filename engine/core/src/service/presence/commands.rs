//! What the commands of presence take and answer.

use crate::service::{Access, Field, Method, Place, Rule, Spec};

/// A user, or where the room's type has `presence = "each"`, a connection.
pub(super) const USER: [Field; 9] = [
    Field::optional("client_id", Rule::Id, "The client id, where connections are told of."),
    Field::required("user_id", Rule::Id, "The user."),
    Field::required("role", Rule::Text(128), "Its role."),
    Field::optional(
        "clients",
        Rule::Texts(1_000, 128),
        "The client ids of its connections, where users are told of.",
    ),
    Field::required("since", Rule::Time, "Since when it is there."),
    Field::optional(
        "last_activity",
        Rule::Time,
        "When it came or sent a heartbeat or `presence.set` last, where users are told of.",
    ),
    Field::optional("status", Rule::Text(64), "What it says that it is: online, away, busy."),
    Field::optional("page", Rule::Text(256), "Where it says that it is."),
    Field::optional("info", Rule::Object(1_024), "What else it says."),
];

pub(super) static COMMANDS: [Spec; 2] = [
    Spec {
        name: "presence.list",
        about: "Tells who is in a room: users, those with several connections once; or each connection, where its type says so.",
        method: Method::Get,
        path: "/v1/rooms/{room}/presence",
        access: Access::Presence,
        place: Place::Room,
        fields: &[
            Field::optional("limit", Rule::Whole(1, 10_000), "At most so many of them (1,000)."),
            Field::optional(
                "after",
                Rule::Id,
                "Only users after this one, in the order of their ids; where connections are told of, client ids.",
            ),
        ],
        answer: &[
            Field::required("room", Rule::Text(128), "The room."),
            Field::required(
                "count",
                Rule::Whole(0, u64::MAX),
                "Users; connections where those are told of, or presence is not kept.",
            ),
            Field::required("connections", Rule::Whole(0, u64::MAX), "Connections."),
            Field::required("members", Rule::Objects(10_000, &USER), "The users or connections."),
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
