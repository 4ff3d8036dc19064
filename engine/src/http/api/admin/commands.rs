//! What the commands of an operator take and answer, declared like those of services. Bans and revocations are those of the service
//! `access`.

use fanfare_core::SHED_MAX;
use fanfare_core::service::{Access, Field, Method, Place, Rule, Spec};
use fanfare_protocol::limits::PRIORITY_MAX;

const LIMIT: Field = Field::optional("limit", Rule::Whole(1, 10_000), "At most so many; 100.");
const DRY_RUN: Field = Field::optional("dry_run", Rule::Flag, "Only tell what it would do.");

const DENIAL: [Field; 10] = [
    Field::optional("user_id", Rule::Id, "The user."),
    Field::optional("client_id", Rule::Id, "The client id."),
    Field::optional("network", Rule::Network, "The addresses."),
    Field::optional("token_id", Rule::Text(256), "The token."),
    Field::optional("issued_before", Rule::Time, "All older tokens."),
    Field::optional("key_id", Rule::Text(256), "The key."),
    Field::optional("reason", Rule::Text(100), "Why."),
    Field::optional("by", Rule::Text(256), "Who did it: a user, or the name of an API key."),
    Field::required("since", Rule::Time, "Since when."),
    Field::optional("until", Rule::Time, "Until when; without it, for good."),
];

const DRAINING: [Field; 5] = [
    Field::required("state", Rule::Choice(&["serving", "draining", "drained", "ending"]), "What it does."),
    Field::required("connections", Rule::Whole(0, u64::MAX), "Connections now."),
    Field::optional("connections_before", Rule::Whole(0, u64::MAX), "Connections when it began."),
    Field::optional("seconds", Rule::Number(0.0, f64::MAX), "For how long it has drained."),
    Field::optional("seconds_left", Rule::Number(0.0, f64::MAX), "How long it will take at this pace."),
];

const MODE: [Field; 5] = [
    Field::optional("read_only", Rule::Flag, "Publishes and commands that change something are refused."),
    Field::optional(
        "shed",
        Rule::Whole(0, SHED_MAX as u64),
        "1: new connections are refused; 2: also messages and changes without a priority; 3: the most indebted connections are ended.",
    ),
    Field::optional(
        "priority_min",
        Rule::Whole(1, PRIORITY_MAX as u64),
        "Messages of this priority are taken even when the server is read-only; a client's own word counts up to 3.",
    ),
    Field::optional("compression", Rule::Flag, "Whether messages are compressed."),
    Field::optional("log_level", Rule::Text(256), "A level or a filter."),
];

const fn spec(
    name: &'static str,
    about: &'static str,
    (method, path): (Method, &'static str),
    fields: &'static [Field],
    answer: &'static [Field],
) -> Spec {
    Spec { name, about, method, path, access: Access::Admin, place: Place::All, fields, answer }
}

/// Every command under `/v1/admin` that is not a service's.
pub(crate) static COMMANDS: [Spec; 9] = [
    Spec {
        // It is about no room: this tells that exactly one of these says whose.
        place: Place::Each(|_, _| Ok(Vec::new()), &["user_id", "client_id", "network", "key_id", "all"]),
        ..spec(
            "admin.disconnect",
            "Ends the connections of a user, a client, some addresses, a key, or all.",
            (Method::Post, "/v1/admin/disconnect"),
            &[
                Field::optional("user_id", Rule::Id, "A user's."),
                Field::optional("client_id", Rule::Id, "Those with a client id."),
                Field::optional("network", Rule::Network, "Those from an address or a range of addresses."),
                Field::optional("key_id", Rule::Text(256), "Those whose tokens were signed by a key."),
                Field::optional("all", Rule::Flag, "Everybody's."),
                Field::optional("reason", Rule::Text(100), "Why; they are told."),
                Field::optional(
                    "reconnect",
                    Rule::Flag,
                    "They are asked to come back: 1012 instead of 4011.",
                ),
                DRY_RUN,
            ],
            &[Field::required("connections", Rule::Whole(0, u64::MAX), "How many it ended, or would end.")],
        )
    },
    spec(
        "admin.bans",
        "Lists who is kept out.",
        (Method::Get, "/v1/admin/bans"),
        &[LIMIT],
        &[
            Field::required("bans", Rule::Objects(10_000, &DENIAL), "The newest first."),
            Field::required("total", Rule::Whole(0, u64::MAX), "How many there are."),
        ],
    ),
    spec(
        "admin.revocations",
        "Lists which tokens are revoked.",
        (Method::Get, "/v1/admin/revocations"),
        &[LIMIT],
        &[
            Field::required("revocations", Rule::Objects(10_000, &DENIAL), "The newest first."),
            Field::required("total", Rule::Whole(0, u64::MAX), "How many there are."),
        ],
    ),
    spec(
        "admin.reload",
        "Reads the configuration again.",
        (Method::Post, "/v1/admin/reload"),
        &[DRY_RUN],
        &[Field::required(
            "changes",
            Rule::Objects(
                10_000,
                &[
                    Field::required("setting", Rule::Text(256), "Its full name."),
                    Field::optional("old", Rule::Text(65_536), "As it was; null: its default."),
                    Field::optional("new", Rule::Text(65_536), "As it is in the file; null: its default."),
                    Field::required("takes_effect", Rule::Choice(&["at_once", "restart"]), "When it counts."),
                ],
            ),
            "Every setting that is not what it was.",
        )],
    ),
    spec(
        "admin.drain",
        "Takes no more connections and sends those that are there away.",
        (Method::Post, "/v1/admin/drain"),
        &[
            Field::optional("exit", Rule::Flag, "The process ends when they have gone, as upon SIGTERM."),
            Field::optional(
                "seconds",
                Rule::Whole(1, 3_600),
                "Over how long they are told; 2 at most by itself.",
            ),
        ],
        &DRAINING,
    ),
    spec(
        "admin.draining",
        "Tells how far draining has come.",
        (Method::Get, "/v1/admin/drain"),
        &[],
        &DRAINING,
    ),
    spec("admin.undrain", "Takes connections again.", (Method::Delete, "/v1/admin/drain"), &[], &DRAINING),
    spec(
        "admin.set_mode",
        "Sets what an emergency needs; what is left out stays.",
        (Method::Put, "/v1/admin/mode"),
        &MODE,
        &MODE,
    ),
    spec("admin.mode", "Tells what was set for an emergency.", (Method::Get, "/v1/admin/mode"), &[], &MODE),
];
