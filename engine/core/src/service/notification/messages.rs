//! What notifications say.

use super::commands::{DONE, ID, NOTIFICATION};
use crate::service::{Field, Rule, Said};

pub(super) static MESSAGES: [Said; 6] = [
    Said::signal("$notification", "A notification was sent.", &NOTIFICATION),
    Said::signal(
        "$notifications",
        "What waits for a user: after the welcome, and when quiet hours are over.",
        &[
            Field::required("unread", Rule::Objects(100, &NOTIFICATION), "In order."),
            Field::optional(
                "count",
                Rule::Whole(0, u64::MAX),
                "How many are not acknowledged; after the welcome.",
            ),
            Field::required("more", Rule::Flag, "Whether there are more than these."),
        ],
    ),
    Said::signal(
        "$notification_acknowledged",
        "This user has acknowledged a notification, or all.",
        &[
            Field::optional("notification_id", Rule::Name, "The notification."),
            Field::optional("all", Rule::Flag, "True: all of them."),
        ],
    ),
    Said::signal("$notification_dismissed", "This user has dismissed a notification.", &DONE),
    Said::signal("$notification_withdrawn", "A notification was taken back.", &DONE),
    Said::kept(
        "$notification_receipt",
        "In the sender's own room: somebody has acknowledged a notification that asks for it.",
        &[
            ID,
            Field::required("user_id", Rule::Id, "Who."),
            Field::required("timestamp", Rule::Time, "When."),
        ],
    ),
];
