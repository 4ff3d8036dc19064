//! What the commands of polls take and answer.

use crate::service::{Access, Field, Method, Place, Rule, Spec};

const POLL: Field = Field::required("poll_id", Rule::Name, "The poll, a name of the caller's choice.");

pub(super) const TALLY: [Field; 5] = [
    Field::required("poll_id", Rule::Name, "The poll."),
    Field::required("question", Rule::Text(512), "What was asked."),
    Field::required(
        "options",
        Rule::Objects(
            32,
            &[
                Field::required("option", Rule::Text(128), "What can be chosen."),
                Field::required("votes", Rule::Whole(0, u64::MAX), "How many chose it."),
            ],
        ),
        "Every option with its votes.",
    ),
    Field::required("total_votes", Rule::Whole(0, u64::MAX), "How many have voted."),
    Field::required("open", Rule::Flag, "Whether votes are taken."),
];

pub(super) static COMMANDS: [Spec; 5] = [
    Spec {
        name: "poll.open",
        about: "Opens a poll in a room.",
        method: Method::Post,
        path: "/v1/rooms/{room}/polls",
        access: Access::Control,
        place: Place::Room,
        fields: &[
            POLL,
            Field::required("question", Rule::Text(512), "What is asked."),
            Field::required("options", Rule::Distinct(2, 32, 128), "What can be chosen: two or more."),
            Field::optional(
                "seconds",
                Rule::Whole(1, 604_800),
                "After how many seconds it closes by itself.",
            ),
        ],
        answer: &TALLY,
    },
    Spec {
        name: "poll.vote",
        about: "Gives the caller's vote, or changes it.",
        method: Method::Put,
        path: "/v1/rooms/{room}/polls/{poll_id}/vote",
        access: Access::Write,
        place: Place::Room,
        fields: &[POLL, Field::required("option", Rule::Text(128), "The option that is chosen.")],
        answer: &TALLY,
    },
    Spec {
        name: "poll.close",
        about: "Takes no more votes.",
        method: Method::Post,
        path: "/v1/rooms/{room}/polls/{poll_id}/close",
        access: Access::Control,
        place: Place::Room,
        fields: &[POLL],
        answer: &TALLY,
    },
    Spec {
        name: "poll.remove",
        about: "Forgets a poll.",
        method: Method::Delete,
        path: "/v1/rooms/{room}/polls/{poll_id}",
        access: Access::Control,
        place: Place::Room,
        fields: &[POLL],
        answer: &[Field::required("poll_id", Rule::Name, "The poll.")],
    },
    Spec {
        name: "poll.list",
        about: "Tells all polls of a room.",
        method: Method::Get,
        path: "/v1/rooms/{room}/polls",
        access: Access::Read,
        place: Place::Room,
        fields: &[],
        answer: &[Field::required("polls", Rule::Objects(16, &TALLY), "Every poll with its tally.")],
    },
];
