//! What the commands of rooms take and answer.

use crate::service::{Access, Field, Method, Place, Rule, Spec};

const USER: Field = Field::required("user_id", Rule::Id, "The user.");
const TITLE: Field = Field::optional("title", Rule::Text(256), "For people.");
const METADATA: Field = Field::optional("metadata", Rule::Object(4_096), "What else members are to know.");
const PRIVATE: Field =
    Field::optional("private", Rule::Flag, "Only its creator and who was invited may be in it.");
const MAX_MEMBERS: Field = Field::optional("max_members", Rule::Whole(1, 10_000_000), "Connections at most.");

pub(super) const ROOM: [Field; 16] = [
    Field::required("room", Rule::Text(128), "The room."),
    Field::required("room_type", Rule::Text(64), "Its type."),
    Field::required("members", Rule::Whole(0, u64::MAX), "Connections in it."),
    Field::required("epoch", Rule::Text(32), "The epoch of its count."),
    Field::required("offset", Rule::Whole(0, u64::MAX), "Its last offset."),
    Field::required(
        "last_activity",
        Rule::Time,
        "The last join, leave, message or command that does something, to the second.",
    ),
    Field::required("frozen", Rule::Flag, "Whether nobody may publish."),
    Field::optional("creator", Rule::Text(128), "Who created it; null: a backend."),
    Field::optional("created_at", Rule::Time, "When."),
    TITLE,
    METADATA,
    PRIVATE,
    MAX_MEMBERS,
    Field::optional(
        "invited",
        Rule::Texts(10_000, 128),
        "Who is invited: `room.info` tells it who may steer the room.",
    ),
    Field::optional(
        "kept_out",
        Rule::Texts(10_000, 128),
        "Who is kept out now: `room.info` tells it who may steer the room.",
    ),
    Field::optional(
        "cleanup",
        Rule::Flag,
        "Whether it goes when its last member leaves: `room.info` tells it who may steer the room.",
    ),
];

const NAME: [Field; 1] = [Field::required("room", Rule::Text(128), "The room.")];

/// What most of them have in common; who may is looked at by the service, since a room's creator may, too.
const ANY: Spec = Spec {
    name: "",
    about: "",
    method: Method::Get,
    path: "/v1/rooms/{room}",
    access: Access::Read,
    place: Place::Room,
    fields: &[],
    answer: &ROOM,
};

pub(super) static COMMANDS: [Spec; 9] = [
    Spec {
        name: "room.create",
        about: "Creates a room of a type whose rooms are created.",
        method: Method::Put,
        fields: &[
            TITLE,
            METADATA,
            PRIVATE,
            MAX_MEMBERS,
            Field::optional("invited", Rule::Ids(0, 256), "Users who may be in it though it is private."),
            Field::optional("cleanup", Rule::Flag, "Whether it goes when its last member leaves."),
        ],
        ..ANY
    },
    Spec { name: "room.info", about: "Tells what is known of a room.", ..ANY },
    Spec {
        name: "room.update",
        about: "Changes what was said when the room was created.",
        method: Method::Patch,
        fields: &[TITLE, METADATA, PRIVATE, MAX_MEMBERS],
        ..ANY
    },
    Spec {
        name: "room.invite",
        about: "Lets a user into a private room; in any room, who was kept out may come back.",
        method: Method::Put,
        path: "/v1/rooms/{room}/invited/{user_id}",
        fields: &[USER],
        ..ANY
    },
    Spec {
        name: "room.uninvite",
        about: "Takes an invitation back; who is in the room stays.",
        method: Method::Delete,
        path: "/v1/rooms/{room}/invited/{user_id}",
        fields: &[USER],
        ..ANY
    },
    Spec {
        name: "room.kick",
        about: "Sends a user away, and keeps it out for a while if that is asked for.",
        method: Method::Post,
        path: "/v1/rooms/{room}/kick",
        fields: &[
            USER,
            Field::optional("reason", Rule::Text(120), "What the user is told."),
            Field::optional("seconds", Rule::Whole(1, 31_536_000), "For how long it may not come back."),
        ],
        answer: &[USER],
        ..ANY
    },
    Spec {
        name: "room.freeze",
        about: "Lets nobody publish to a room, or everybody again.",
        method: Method::Put,
        path: "/v1/rooms/{room}/frozen",
        fields: &[Field::optional("frozen", Rule::Flag, "Whether it is to be frozen (true).")],
        answer: &[
            Field::required("room", Rule::Text(128), "The room."),
            Field::required("frozen", Rule::Flag, "Whether it is frozen."),
        ],
        ..ANY
    },
    Spec {
        name: "room.purge",
        about: "Forgets all messages of a room; its count begins anew in another epoch.",
        method: Method::Delete,
        path: "/v1/rooms/{room}/history",
        answer: &NAME,
        ..ANY
    },
    Spec {
        name: "room.close",
        about: "Sends all members away and forgets the room with all its messages.",
        method: Method::Delete,
        fields: &[Field::optional("reason", Rule::Text(120), "What members are told.")],
        answer: &[
            Field::required("room", Rule::Text(128), "The room."),
            Field::required("members", Rule::Whole(0, u64::MAX), "Connections that were in it."),
        ],
        ..ANY
    },
];
