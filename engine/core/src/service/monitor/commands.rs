//! What the commands of monitors take and answer.

use super::rule::{LIMITS, SEVERITIES};
use super::{NAMES_MAX, NUMBER_MAX, REPORTED_MAX, RULES_MAX};
use crate::service::{Access, Field, Method, Place, Rule, Spec};

pub(super) const RULE_ID: Field =
    Field::required("rule_id", Rule::Name, "The rule, a name of the caller's choice.");

/// So many members of a rule are what is set; the others are how it stands.
const TERMS: usize = 8;

pub(super) const RULE: [Field; 10] = [
    RULE_ID,
    Field::required("name", Rule::Name, "The value it watches."),
    Field::required(
        "limit",
        Rule::Choice(&LIMITS),
        "Whether it alerts while the value is greater or less than the threshold, or while it rises faster or slower, in units \
         a second.",
    ),
    Field::required("threshold", NUMBER, "What is too far."),
    Field::optional(
        "hysteresis",
        Rule::Number(0.0, NUMBER_MAX),
        "How far inside the threshold it has recovered; 0.",
    ),
    Field::optional(
        "for_seconds",
        Rule::Number(0.0, 86_400.0),
        "How long it must be so before it alerts; 0.",
    ),
    Field::optional("severity", Rule::Choice(&SEVERITIES), "How bad it is; `warning`."),
    Field::optional("message", Rule::Text(512), "What people are told."),
    Field::optional("status", Rule::Choice(&["ok", "pending", "alerting"]), "How it stands."),
    Field::optional("since", Rule::Time, "Since when it is pending or alerts."),
];

pub(super) const NUMBER: Rule = Rule::Number(-NUMBER_MAX, NUMBER_MAX);

pub(super) static COMMANDS: [Spec; 4] = [
    Spec {
        name: "monitor.report",
        about: "Reports values of a room; its rules are checked, and members are told.",
        method: Method::Post,
        path: "/v1/rooms/{room}/monitor/values",
        access: Access::Write,
        place: Place::Room,
        fields: &[
            Field::required("values", Rule::Numbers(REPORTED_MAX, NUMBER_MAX), "At most 64 numbers by name."),
            Field::optional(
                "at",
                Rule::Time,
                "When they were measured; now. What is older than what is there counts not.",
            ),
        ],
        answer: &[Field::required("accepted", Rule::Whole(0, 64), "How many values count.")],
    },
    Spec {
        name: "monitor.set_rule",
        about: "Sets a rule for a value of a room.",
        method: Method::Post,
        path: "/v1/rooms/{room}/monitor/rules",
        access: Access::Control,
        place: Place::Room,
        fields: RULE.split_at(TERMS).0,
        answer: &RULE,
    },
    Spec {
        name: "monitor.remove_rule",
        about: "Removes a rule; if it alerts, that is over.",
        method: Method::Delete,
        path: "/v1/rooms/{room}/monitor/rules/{rule_id}",
        access: Access::Control,
        place: Place::Room,
        fields: &[RULE_ID],
        answer: &[RULE_ID],
    },
    Spec {
        name: "monitor.state",
        about: "Tells the last values of a room, and how its rules stand.",
        method: Method::Get,
        path: "/v1/rooms/{room}/monitor",
        access: Access::Read,
        place: Place::Room,
        fields: &[],
        answer: &[
            Field::required(
                "values",
                Rule::Object(64 * NAMES_MAX),
                "By name, each an object with `value` and `at`.",
            ),
            Field::required(
                "rules",
                Rule::Objects(RULES_MAX, &RULE),
                "Every rule, with its status and since when.",
            ),
        ],
    },
];
