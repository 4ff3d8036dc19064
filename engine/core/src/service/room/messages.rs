//! What rooms say of themselves.

use super::commands::ROOM;
use crate::service::{Field, Rule, Said};

pub(super) static MESSAGES: [Said; 3] = [
    Said::signal("$room_updated", "What is known of the room has changed.", &ROOM),
    Said::signal("$room_purged", "The room has forgotten its messages; its count begins anew.", &[]),
    Said::signal(
        "$room_closed",
        "The room was closed; all members are sent away after this.",
        &[Field::required("reason", Rule::Text(120), "Why.")],
    ),
];
