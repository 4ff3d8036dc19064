//! What the commands of bans and revocations take and answer.

use crate::service::{Access, Field, Method, Place, Rule, Spec};

/// Ten years: longer is for good.
const SECONDS_MAX: u64 = 315_360_000;
/// What is told to who is closed must fit into a close frame.
const REASON: Field = Field::optional("reason", Rule::Text(100), "Why; who is kept out is told.");
const SECONDS: Field =
    Field::optional("seconds", Rule::Whole(1, SECONDS_MAX), "For how long; without it, for good.");
const REMEMBERED: Field = Field::optional(
    "seconds",
    Rule::Whole(1, SECONDS_MAX),
    "For how long it is remembered: as long as such a token could live; without it, a year.",
);
const DRY_RUN: Field = Field::optional("dry_run", Rule::Flag, "Only tell how many connections it would end.");
const USER: Field = Field::required("user_id", Rule::Id, "The user.");
const CLIENT: Field = Field::required("client_id", Rule::Id, "The client id.");
const NETWORK: Field =
    Field::required("network", Rule::Network, "An address or a range of addresses: 203.0.113.0/24.");
const KEY: Field = Field::required("key_id", Rule::Text(256), "The `kid` of the key.");
const TOKEN: Field = Field::optional("token_id", Rule::Text(256), "One token: its `jti`.");

const CUT: [Field; 1] = [Field::optional(
    "connections",
    Rule::Whole(0, u64::MAX),
    "Connections that it ends; over a WebSocket only those of a user or a client are known.",
)];
const REMOVED: [Field; 1] = [Field::required("removed", Rule::Flag, "Whether there was such a thing.")];

const fn put(
    name: &'static str,
    about: &'static str,
    path: &'static str,
    place: Place,
    fields: &'static [Field],
) -> Spec {
    Spec { name, about, method: Method::Put, path, access: Access::Admin, place, fields, answer: &CUT }
}

const fn delete(
    name: &'static str,
    about: &'static str,
    path: &'static str,
    place: Place,
    fields: &'static [Field],
) -> Spec {
    Spec { name, about, method: Method::Delete, path, access: Access::Admin, place, fields, answer: &REMOVED }
}

pub(super) static COMMANDS: [Spec; 10] = [
    put(
        "access.ban_user",
        "Keeps a user out and ends all its connections.",
        "/v1/admin/bans/users/{user_id}",
        Place::User("user_id"),
        &[USER, REASON, SECONDS, DRY_RUN],
    ),
    put(
        "access.ban_client",
        "Keeps a client id out and ends its connections.",
        "/v1/admin/bans/clients/{client_id}",
        Place::Client("client_id"),
        &[CLIENT, REASON, SECONDS, DRY_RUN],
    ),
    put(
        "access.ban_network",
        "Keeps out who connects from some addresses, and ends their connections.",
        "/v1/admin/bans/networks/{network}",
        Place::All,
        &[NETWORK, REASON, SECONDS, DRY_RUN],
    ),
    delete(
        "access.unban_user",
        "Lets a user in again.",
        "/v1/admin/bans/users/{user_id}",
        Place::User("user_id"),
        &[USER],
    ),
    delete(
        "access.unban_client",
        "Lets a client id in again.",
        "/v1/admin/bans/clients/{client_id}",
        Place::Client("client_id"),
        &[CLIENT],
    ),
    delete(
        "access.unban_network",
        "Lets in again who connects from some addresses.",
        "/v1/admin/bans/networks/{network}",
        Place::All,
        &[NETWORK],
    ),
    put(
        "access.revoke_user",
        "Revokes one token of a user, or all that were issued before a time; ends its connections, and who has a good token comes back.",
        "/v1/admin/revocations/users/{user_id}",
        Place::User("user_id"),
        &[
            USER,
            TOKEN,
            Field::optional(
                "issued_before",
                Rule::Time,
                "All tokens with an older `iat`, or none; without it and `token_id`: before now.",
            )
            .instead_of("token_id"),
            REASON,
            REMEMBERED,
            DRY_RUN,
        ],
    ),
    put(
        "access.revoke_key",
        "Revokes all tokens that a key has signed; ends the connections it has let in.",
        "/v1/admin/revocations/keys/{key_id}",
        Place::All,
        &[KEY, REASON, REMEMBERED, DRY_RUN],
    ),
    delete(
        "access.restore_user",
        "Takes back a user's revocations: that of one token, or all.",
        "/v1/admin/revocations/users/{user_id}",
        Place::User("user_id"),
        &[USER, TOKEN],
    ),
    delete(
        "access.restore_key",
        "Takes back the revocation of a key.",
        "/v1/admin/revocations/keys/{key_id}",
        Place::All,
        &[KEY],
    ),
];
