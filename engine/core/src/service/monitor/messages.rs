//! What monitors say.

use super::NAMES_MAX;
use super::commands::{NUMBER, RULE, RULE_ID};
use super::rule::{LIMITS, SEVERITIES};
use crate::service::{Field, Rule, Said};

const NEWS: [Field; 8] = [
    RULE_ID,
    Field::required("name", Rule::Name, "The value it watches."),
    Field::optional(
        "value",
        NUMBER,
        "What was compared: the value, or how fast it rises; null where that is not known.",
    ),
    Field::required("limit", Rule::Choice(&LIMITS), "What it is compared by."),
    Field::required("threshold", NUMBER, "What is too far."),
    Field::required("severity", Rule::Choice(&SEVERITIES), "How bad it is."),
    Field::required("since", Rule::Time, "Since when it is so, or was."),
    Field::optional("message", Rule::Text(512), "What people are told."),
];

pub(super) static MESSAGES: [Said; 5] = [
    Said::signal(
        "$values",
        "All values of the room, ten times a second at most; slow readers get the newest only.",
        &[Field::required(
            "values",
            Rule::Object(64 * NAMES_MAX),
            "By name, each an object with `value` and `at`.",
        )],
    ),
    Said::kept("$alert", "A rule alerts.", &NEWS),
    Said::kept("$recovered", "A rule does not alert any more.", &NEWS),
    Said::signal("$rule_set", "A rule was set.", &RULE),
    Said::signal("$rule_removed", "A rule was removed.", &[RULE_ID]),
];
