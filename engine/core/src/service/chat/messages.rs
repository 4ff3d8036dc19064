//! What chats say.

use super::commands::COUNTS;
use super::{EDITED, MENTIONS_MAX, MESSAGE, TEXT_MAX};
use crate::service::{Field, Rule, Said};

const OFFSET: Field = Field::required("offset", Rule::Whole(1, u64::MAX), "The message that it is about.");
const EPOCH: Field = Field::required("epoch", Rule::Name, "The epoch of that offset.");
const TEXT: Field =
    Field::optional("text", Rule::Text(TEXT_MAX), "What is said; not there where it was taken back.");
const REPLY_TO: Field =
    Field::optional("reply_to", Rule::Whole(1, u64::MAX), "The offset of the message it answers.");
const MENTIONS: Field = Field::optional("mentions", Rule::Ids(0, MENTIONS_MAX), "The users it is about.");
const EDITED_AT: Field = Field::optional("edited_at", Rule::Time, "When it was changed last.");

pub(super) static MESSAGES: [Said; 6] = [
    Said::kept(
        MESSAGE,
        "Somebody says something; who reads it later finds what it says by then.",
        &[
            TEXT,
            REPLY_TO,
            MENTIONS,
            EDITED_AT,
            Field::optional("edited_in", Rule::Whole(1, u64::MAX), "The offset of what told of the change."),
            Field::optional("deleted", Rule::Flag, "True: it was taken back."),
            Field::optional("deleted_at", Rule::Time, "When."),
        ],
    ),
    Said::kept(
        EDITED,
        "A message says something else now.",
        &[
            OFFSET,
            EPOCH,
            Field::optional(
                "text",
                Rule::Text(TEXT_MAX),
                "What it says now; not there where that has changed again.",
            ),
            REPLY_TO,
            MENTIONS,
            EDITED_AT,
            Field::optional("superseded", Rule::Flag, "True: the message was changed again, or taken back."),
        ],
    ),
    Said::kept("$chat_deleted", "A message was taken back.", &[OFFSET, EPOCH]),
    Said::signal(
        "$reactions",
        "The reactions of a message have changed; slow readers get the newest of each message only.",
        &[OFFSET, Field::required("reactions", COUNTS, "All that it has.")],
    ),
    Said::signal(
        "$read",
        "Somebody has read further; not told in large rooms.",
        &[
            Field::required("user_id", Rule::Id, "Who."),
            Field::required("offset", Rule::Whole(0, u64::MAX), "How far."),
        ],
    ),
    Said::signal(
        "$typing",
        "Somebody types, or does not any more.",
        &[
            Field::required("user_id", Rule::Id, "Who."),
            Field::required("typing", Rule::Flag, "Whether the user types."),
        ],
    ),
];
