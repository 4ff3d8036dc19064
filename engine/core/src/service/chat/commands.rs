//! What the commands of chats take and answer.

use super::{EMOJI_BYTES_MAX, MENTIONS_MAX, TEXT_MAX};
use crate::service::{Access, Field, Method, Place, Rule, Spec};

const OFFSET: Field = Field::required("offset", Rule::Whole(1, u64::MAX), "The message, by its offset.");
const EPOCH: Field = Field::optional(
    "epoch",
    Rule::Name,
    "The epoch that the offset is of; where it is another now, nothing is done.",
);
const PLACE: [Field; 2] = [
    Field::required("offset", Rule::Whole(1, u64::MAX), "Where the message is in the room."),
    Field::required("epoch", Rule::Name, "The epoch of its offset."),
];

pub(super) const COUNTS: Rule = Rule::Objects(
    20,
    &[
        Field::required("emoji", Rule::Sign(EMOJI_BYTES_MAX), "What was given."),
        Field::required("count", Rule::Whole(1, u64::MAX), "By how many."),
        Field::optional("mine", Rule::Flag, "Whether the caller is one of them."),
    ],
);

pub(super) static COMMANDS: [Spec; 7] = [
    Spec {
        name: "chat.send",
        about: "Says something in a room: a message of the type `$chat_message`, in the caller's name.",
        method: Method::Post,
        path: "/v1/rooms/{room}/chat/messages",
        access: Access::Write,
        place: Place::Room,
        fields: &[
            Field::required("text", Rule::Text(TEXT_MAX), "What is said."),
            Field::optional("reply_to", Rule::Whole(1, u64::MAX), "The offset of the message it answers."),
            Field::optional("mentions", Rule::Ids(0, MENTIONS_MAX), "The users it is about."),
        ],
        answer: &PLACE,
    },
    Spec {
        name: "chat.edit",
        about: "Changes what a message says. Only its author may, and who has the permission `control`.",
        method: Method::Patch,
        path: "/v1/rooms/{room}/chat/messages/{offset}",
        access: Access::Write,
        place: Place::Room,
        fields: &[OFFSET, Field::required("text", Rule::Text(TEXT_MAX), "What it says from now on."), EPOCH],
        answer: &PLACE,
    },
    Spec {
        name: "chat.delete",
        about: "Takes back what a message said; its place stays. Only its author may, and who has the permission \
                `control`.",
        method: Method::Delete,
        path: "/v1/rooms/{room}/chat/messages/{offset}",
        access: Access::Write,
        place: Place::Room,
        fields: &[OFFSET, EPOCH],
        answer: &PLACE,
    },
    Spec {
        name: "chat.react",
        about: "Gives a message an emoji of the caller's, or takes it back.",
        method: Method::Put,
        path: "/v1/rooms/{room}/chat/messages/{offset}/reactions",
        access: Access::Write,
        place: Place::Room,
        fields: &[
            OFFSET,
            Field::required("emoji", Rule::Sign(EMOJI_BYTES_MAX), "What is given."),
            Field::optional("remove", Rule::Flag, "Whether it is taken back."),
            EPOCH,
        ],
        answer: &[
            Field::required("offset", Rule::Whole(1, u64::MAX), "The message."),
            Field::required("reactions", COUNTS, "All that it has."),
        ],
    },
    Spec {
        name: "chat.typing",
        about: "Says that the caller types, or does not any more. It ends by itself after five seconds.",
        method: Method::Put,
        path: "/v1/rooms/{room}/chat/typing",
        access: Access::Write,
        place: Place::Room,
        fields: &[Field::required("typing", Rule::Flag, "Whether the caller types.")],
        answer: &[Field::required(
            "typing",
            Rule::Flag,
            "Whether the room counts the caller among who types.",
        )],
    },
    Spec {
        name: "chat.read",
        about: "Sets how far the caller has read. It never goes back.",
        method: Method::Put,
        path: "/v1/rooms/{room}/chat/read",
        access: Access::Read,
        place: Place::Room,
        fields: &[
            Field::required("offset", Rule::Whole(0, u64::MAX), "The last message that was read."),
            EPOCH,
        ],
        answer: &[
            Field::required("offset", Rule::Whole(0, u64::MAX), "The caller's mark."),
            Field::required("unread", Rule::Whole(0, u64::MAX), "Messages of the room after it."),
        ],
    },
    Spec {
        name: "chat.state",
        about: "Tells who types, who has read how far, what the caller has not read, and the reactions.",
        method: Method::Get,
        path: "/v1/rooms/{room}/chat",
        access: Access::Read,
        place: Place::Room,
        fields: &[Field::optional(
            "before",
            Rule::Whole(1, u64::MAX),
            "Only reactions of messages before this offset: a page is of 100 messages.",
        )],
        answer: &[
            Field::required("offset", Rule::Whole(0, u64::MAX), "The room's last message."),
            Field::required("epoch", Rule::Name, "The epoch of its offset."),
            Field::optional("read", Rule::Whole(0, u64::MAX), "The caller's mark, if it is a user."),
            Field::optional("unread", Rule::Whole(0, u64::MAX), "Messages of the room after it."),
            Field::required(
                "reads",
                Rule::Objects(
                    200,
                    &[
                        Field::required("user_id", Rule::Id, "Who."),
                        Field::required("offset", Rule::Whole(0, u64::MAX), "How far."),
                    ],
                ),
                "Those who have read the furthest.",
            ),
            Field::required("readers", Rule::Whole(0, u64::MAX), "How many have a mark."),
            Field::required(
                "reactions",
                Rule::Objects(
                    100,
                    &[
                        Field::required("offset", Rule::Whole(1, u64::MAX), "The message."),
                        Field::required("reactions", COUNTS, "What it has."),
                    ],
                ),
                "The latest messages that have some.",
            ),
            Field::required("typing", Rule::Texts(100, 128), "The users who type."),
        ],
    },
];
