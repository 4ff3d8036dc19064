//! What the commands of scores take and answer.

use super::{AGGREGATES, NUMBER_MAX, SCORES_MAX};
use crate::service::{Access, Field, Method, Place, Rule, Spec};

pub(super) const ID: Field =
    Field::required("score_id", Rule::Name, "The score, a name of the caller's choice.");
pub(super) const NUMBER: Rule = Rule::Number(-NUMBER_MAX, NUMBER_MAX);

/// So many members of a score are what is defined; the others are how it stands.
const TERMS: usize = 7;

pub(super) const SCORE: [Field; 10] = [
    ID,
    Field::required("threshold", NUMBER, "What the group is to reach."),
    Field::optional(
        "aggregate",
        Rule::Choice(&AGGREGATES),
        "What the group's value is of its members'; `mean`.",
    ),
    Field::optional(
        "hysteresis",
        Rule::Number(0.0, NUMBER_MAX),
        "How far below the threshold it is lost again; 0.",
    ),
    Field::optional("window_seconds", Rule::Number(1.0, 3_600.0), "How long a report counts; 30."),
    Field::optional("minimum_users", Rule::Whole(1, 10_000), "How many must take part; 1."),
    Field::optional("title", Rule::Text(128), "What people are told when it is reached."),
    Field::optional("value", NUMBER, "The group's value, while somebody takes part."),
    Field::optional("users", Rule::Whole(0, 10_000), "How many take part."),
    Field::optional("reached", Rule::Flag, "Whether it is reached."),
];

pub(super) static COMMANDS: [Spec; 4] = [
    Spec {
        name: "score.define",
        about: "Defines a score of a room's group, or defines it anew.",
        method: Method::Post,
        path: "/v1/rooms/{room}/scores",
        access: Access::Control,
        place: Place::Room,
        fields: SCORE.split_at(TERMS).0,
        answer: &SCORE,
    },
    Spec {
        name: "score.report",
        about: "Reports the caller's own value. It counts until the next one, or until the caller leaves or is silent. Only who is in the room has one.",
        method: Method::Put,
        path: "/v1/rooms/{room}/scores/{score_id}/value",
        access: Access::Write,
        place: Place::Room,
        fields: &[ID, Field::required("value", NUMBER, "The caller's value.")],
        answer: &[ID, Field::required("users", Rule::Whole(1, 10_000), "How many take part.")],
    },
    Spec {
        name: "score.remove",
        about: "Removes a score; if it is reached, that is over.",
        method: Method::Delete,
        path: "/v1/rooms/{room}/scores/{score_id}",
        access: Access::Control,
        place: Place::Room,
        fields: &[ID],
        answer: &[ID],
    },
    Spec {
        name: "score.list",
        about: "Tells all scores of a room.",
        method: Method::Get,
        path: "/v1/rooms/{room}/scores",
        access: Access::Read,
        place: Place::Room,
        fields: &[],
        answer: &[Field::required("scores", Rule::Objects(SCORES_MAX, &SCORE), "Every score.")],
    },
];
