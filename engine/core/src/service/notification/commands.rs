//! What the commands of notifications take and answer.

use fanfare_protocol::{Refusal, RoomName};

use crate::service::rules::invalid;
use crate::service::{Access, Args, Caller, Field, Method, Place, Rule, Spec};

/// Users that one notification may name.
const USERS_MAX: usize = 256;

/// What says where a notification goes to.
static TARGETS: [&str; 4] = ["user_id", "user_ids", "role", "all"];

pub(super) const ID: Field = Field::required("notification_id", Rule::Name, "The notification.");
const USER: Field = Field::optional("user_id", Rule::Id, "Whose; the caller's own where it is left out.");
const ROLE: Field = Field::optional(
    "role",
    Rule::Id,
    "The role of another user, so that what was sent to that role counts; the caller's own is known.",
);
const TO_USER: Field = Field::optional("user_id", Rule::Id, "To one user.");
const TO_USERS: Field = Field::optional("user_ids", Rule::Ids(1, USERS_MAX), "To several users.");
const TO_ROLE: Field = Field::optional("role", Rule::Id, "To everybody with a role.");
const TO_ALL: Field = Field::optional("all", Rule::Flag, "True: to everybody.");

static ACTION: [Field; 3] = [
    Field::required("id", Rule::Name, "What the application knows it by."),
    Field::required("label", Rule::Text(64), "What a person reads."),
    Field::optional("url", Rule::Link(512), "Where it leads: begins with https://, http:// or a single /."),
];

const KIND: Field = Field::required("type", Rule::Name, "What it is about, like medication_reminder.");
const TITLE: Field = Field::required("title", Rule::Text(256), "What a person reads first.");
const BODY: Field = Field::optional("body", Rule::Text(4_096), "What a person reads then.");
const SEVERITY: Field =
    Field::optional("severity", Rule::Choice(&["info", "warning", "error", "critical"]), "Usually info.");
const PRIORITY: Field = Field::optional("priority", Rule::Whole(0, 9), "0 (low) to 9 (urgent); usually 5.");
const ACTIONS: Field = Field::optional("actions", Rule::Objects(8, &ACTION), "What can be done about it.");
const DATA: Field = Field::optional("data", Rule::Object(4_096), "What the application wants with it.");
const EXPIRES: Field = Field::optional("expires_at", Rule::Time, "When it is of no use any more.");

pub(super) static NOTIFICATION: [Field; 14] = [
    ID,
    KIND,
    TITLE,
    BODY,
    SEVERITY,
    PRIORITY,
    ACTIONS,
    DATA,
    Field::optional("from", Rule::Id, "Who sent it."),
    Field::required("to", Rule::Choice(&["user", "role", "all"]), "To whom it was sent."),
    Field::optional("require_ack", Rule::Flag, "Whether the sender wants to know who has acknowledged it."),
    Field::required("timestamp", Rule::Time, "When it was sent."),
    EXPIRES,
    Field::required("acknowledged", Rule::Flag, "Whether this user has acknowledged it."),
];

pub(super) static DONE: [Field; 1] = [ID];

static QUIET: [Field; 3] = [
    Field::required("from", Rule::Clock, "When they begin, by the user's clock."),
    Field::required("to", Rule::Clock, "When they end; there are none if that is when they begin."),
    Field::optional(
        "utc_offset_minutes",
        Rule::Integer(-840, 840),
        "How far that clock is before UTC; usually 0.",
    ),
];

static PREFERENCES: [Field; 5] = [
    Field::required("types_muted", Rule::Texts(64, 64), "Types that are kept and not sent."),
    Field::required("types_allowed", Rule::Texts(64, 64), "If there are any: the only types that are sent."),
    Field::required("minimum_priority", Rule::Whole(0, 9), "What is below is kept and not sent."),
    Field::required(
        "urgent_priority",
        Rule::Whole(0, 10),
        "What has this priority passes all of these rules.",
    ),
    Field::optional("quiet_hours", Rule::Part(&QUIET), "When nothing is sent."),
];

pub(super) static COMMANDS: [Spec; 9] = [
    Spec {
        name: "notification.send",
        about: "Sends a notification to a user, several users, a role or everybody.",
        method: Method::Post,
        path: "/v1/notifications",
        access: Access::Control,
        place: Place::Each(targets, &TARGETS),
        fields: &[
            TO_USER,
            TO_USERS,
            TO_ROLE,
            TO_ALL,
            KIND,
            TITLE,
            BODY,
            PRIORITY,
            SEVERITY,
            ACTIONS,
            DATA,
            EXPIRES,
            Field::optional("ttl_seconds", Rule::Whole(1, 31_536_000), "Instead of `expires_at`."),
            Field::optional("require_ack", Rule::Flag, "Whether to tell its sender who acknowledges it."),
            Field::optional(
                "notification_id",
                Rule::Name,
                "The sender's own: what it names twice is sent once. Another sender's in use is refused.",
            ),
            Field::optional("from", Rule::Id, "A backend's name for itself; a user is named as it is."),
        ],
        answer: &[
            ID,
            Field::required("timestamp", Rule::Time, "When it was sent."),
            Field::required("expires_at", Rule::Time, "When it is of no use any more."),
            Field::required(
                "targets",
                Rule::Whole(1, 256),
                "How many users, roles or everybodies it went to.",
            ),
            Field::optional(
                "dropped",
                Rule::Whole(1, 256),
                "With how many of them it did not stay, because a full list had only what is more urgent.",
            ),
        ],
    },
    Spec {
        name: "notification.withdraw",
        about: "Takes a notification back, where it was sent to. Its sender may, and an operator.",
        method: Method::Post,
        path: "/v1/notifications/{notification_id}/withdraw",
        access: Access::Control,
        place: Place::Each(targets, &TARGETS),
        fields: &[ID, TO_USER, TO_USERS, TO_ROLE, TO_ALL],
        answer: &[
            ID,
            Field::required("withdrawn", Rule::Whole(0, 256), "From how many of them it was taken back."),
        ],
    },
    Spec {
        name: "notification.list",
        about: "Tells a user's notifications: the highest priority first, then the oldest.",
        method: Method::Get,
        path: "/v1/users/{user_id}/notifications",
        access: Access::Read,
        place: Place::InTurn(sources),
        fields: &[
            USER,
            ROLE,
            Field::optional("unread_only", Rule::Flag, "Leave out what is acknowledged."),
            Field::optional("limit", Rule::Whole(1, 100), "At most so many; usually 50."),
            Field::optional("skip", Rule::Whole(0, 10_000), "Without the first so many."),
        ],
        answer: &[
            Field::required("notifications", Rule::Objects(100, &NOTIFICATION), "In order."),
            Field::required("count", Rule::Whole(0, u64::MAX), "How many are not acknowledged, in all."),
            Field::required("more", Rule::Flag, "Whether there are more than these."),
            Field::required("dropped", Rule::Whole(0, u64::MAX), "How many made room for others unread."),
        ],
    },
    Spec {
        name: "notification.count",
        about: "Tells how many notifications a user has not acknowledged.",
        method: Method::Get,
        path: "/v1/users/{user_id}/notifications/count",
        access: Access::Read,
        place: Place::InTurn(sources),
        fields: &[USER, ROLE],
        answer: &[Field::required("count", Rule::Whole(0, u64::MAX), "How many.")],
    },
    Spec {
        name: "notification.acknowledge",
        about: "Marks a notification as read. It stays in the list until it is dismissed, for a day at most.",
        method: Method::Post,
        path: "/v1/users/{user_id}/notifications/{notification_id}/acknowledge",
        access: Access::Read,
        place: Place::InTurn(sources),
        fields: &[ID, USER, ROLE],
        answer: &DONE,
    },
    Spec {
        name: "notification.acknowledge_all",
        about: "Marks all of a user's notifications as read.",
        method: Method::Post,
        path: "/v1/users/{user_id}/notifications/acknowledge",
        access: Access::Read,
        place: Place::InTurn(sources),
        fields: &[USER, ROLE],
        answer: &[Field::required("acknowledged", Rule::Whole(0, u64::MAX), "How many were unread.")],
    },
    Spec {
        name: "notification.dismiss",
        about: "Takes a notification from a user's list.",
        method: Method::Post,
        path: "/v1/users/{user_id}/notifications/{notification_id}/dismiss",
        access: Access::Read,
        place: Place::InTurn(sources),
        fields: &[ID, USER, ROLE],
        answer: &DONE,
    },
    Spec {
        name: "notification.preferences",
        about: "Tells what a user wants to be sent.",
        method: Method::Get,
        path: "/v1/users/{user_id}/notification_preferences",
        access: Access::Read,
        place: Place::Own,
        fields: &[USER],
        answer: &PREFERENCES,
    },
    Spec {
        name: "notification.set_preferences",
        about: "Says what a user wants to be sent, instead of what was said before.",
        method: Method::Put,
        path: "/v1/users/{user_id}/notification_preferences",
        access: Access::Read,
        place: Place::Own,
        fields: &[
            USER,
            Field::optional("types_muted", Rule::Texts(64, 64), "Types that are kept and not sent."),
            Field::optional(
                "types_allowed",
                Rule::Texts(64, 64),
                "If there are any: the only types that are sent.",
            ),
            Field::optional(
                "minimum_priority",
                Rule::Whole(0, 9),
                "What is below is kept and not sent; usually 0.",
            ),
            Field::optional(
                "urgent_priority",
                Rule::Whole(0, 10),
                "What has this priority or more passes all of these rules; usually 8. 10: nothing does.",
            ),
            Field::optional(
                "quiet_hours",
                Rule::Part(&QUIET),
                "When nothing is sent: what comes meanwhile follows when they are over.",
            ),
        ],
        answer: &PREFERENCES,
    },
];

/// Where a notification goes to: one target, whose rooms these are.
fn targets(args: &Args, _: &Caller) -> Result<Vec<RoomName>, Refusal> {
    let all = args.flag("all") == Some(true);
    let is_given = |name: &&&str| if **name == "all" { all } else { args.has(name) };
    if TARGETS.iter().filter(is_given).count() != 1 {
        return Err(invalid("user_id", "exactly one of `user_id`, `user_ids`, `role` and `all` is required"));
    }
    if let Some(user_id) = args.text("user_id") {
        return Ok(vec![RoomName::of_user(user_id)]);
    }
    if let Some(role) = args.text("role") {
        return Ok(vec![RoomName::of_role(role)]);
    }
    if all {
        return Ok(vec![RoomName::of_all()]);
    }
    let mut rooms: Vec<RoomName> = args.texts("user_ids").map(RoomName::of_user).collect();
    rooms.sort_unstable();
    rooms.dedup();
    Ok(rooms)
}

/// Where a user's notifications are: with its role, with everybody's, and last with its own.
fn sources(args: &Args, caller: &Caller) -> Result<Vec<RoomName>, Refusal> {
    let own = caller.own_room(args)?;
    let is_own = caller.user.as_ref() == Some(&own);
    let role = if is_own { Some(&*caller.role) } else { args.text("role") };
    Ok(role.map(RoomName::of_role).into_iter().chain([RoomName::of_all(), own]).collect())
}
