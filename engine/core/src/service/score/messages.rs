//! What scores say.

use super::commands::{ID, NUMBER, SCORE};
use crate::service::{Field, Rule, Said};

/// How a group stands.
macro_rules! news {
    ($($more:expr),*) => {
        &[
            ID,
            Field::optional("value", NUMBER, "The group's value; null while nobody takes part."),
            Field::required("users", Rule::Whole(0, 10_000), "How many take part."),
            Field::required("threshold", NUMBER, "What the group is to reach."),
            $($more),*
        ]
    };
}

pub(super) static MESSAGES: [Said; 5] = [
    Said::signal("$score_defined", "A score was defined, or defined anew.", &SCORE),
    Said::signal("$score", "A group's value, five times a second at most.", news![]),
    Said::kept(
        "$score_reached",
        "A group has reached its threshold.",
        news![Field::optional("title", Rule::Text(128), "What people are told.")],
    ),
    Said::kept(
        "$score_lost",
        "A group is below its threshold again, or its score was removed or defined anew.",
        news![],
    ),
    Said::signal("$score_removed", "A score was removed.", &[ID]),
];
