//! What polls say.

use super::commands::TALLY;
use crate::service::{Field, Rule, Said};

pub(super) static MESSAGES: [Said; 4] = [
    Said::kept("$poll_opened", "A poll was opened.", &TALLY),
    Said::signal("$poll_tally", "Somebody has voted; slow readers get the newest of each poll only.", &TALLY),
    Said::kept("$poll_closed", "A poll takes no more votes.", &TALLY),
    Said::signal(
        "$poll_removed",
        "A poll was removed.",
        &[Field::required("poll_id", Rule::Name, "The poll.")],
    ),
];
