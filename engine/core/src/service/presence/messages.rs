//! What presence says.

use super::KNOWN_MAX;
use super::commands::USER;
use crate::service::{Field, Rule, Said};

pub(super) static MESSAGES: [Said; 1] = [Said::signal(
    "$presence",
    "Somebody came, went, or says something else of itself.",
    &[
        Field::required("joined", Rule::Objects(KNOWN_MAX, &USER), "Who came."),
        Field::required("left", Rule::Objects(KNOWN_MAX, &USER), "Who went; without clients."),
        Field::required(
            "changed",
            Rule::Objects(KNOWN_MAX, &USER),
            "Who is there and says something else of itself.",
        ),
        Field::required("count", Rule::Whole(0, u64::MAX), "Users who are there now, or connections."),
    ],
)];
