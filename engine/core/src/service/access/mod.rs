//! Bans and revocations: who is kept out, until when.
//!
//! A user's are kept with the user's own room, a client's with the client's, those of addresses and keys with the room of all; so each
//! lasts as that room's services do, and none makes another slow. What changes is told to the shell ([`DenialChange`]), which
//! keeps all of them in one table, looks there when somebody connects, and then has all shards end connections.

mod commands;
mod denial;
#[cfg(test)]
mod tests;

use fanfare_protocol::timestamp::rfc3339_text;
use fanfare_protocol::{Code, Refusal};
use serde_json::{Value, json};

pub use denial::{Denial, DenialChange, Subject};

use super::rules::invalid;
use super::{Args, Caller, Context, Deed, Kind, Lasts, Service, Spec};
use crate::close::Close;
use crate::ending::{Ending, Who};
use crate::network::Network;
use crate::options::Options;

/// Denials that one room keeps: revoked tokens of a user, or addresses and keys of all, which are looked through at each connect.
const DENIALS_MAX: usize = 4_096;
/// How long a revocation is remembered when nobody says: no token should live longer.
const REVOCATION_S: u64 = 365 * 86_400;

pub(crate) static KIND: Kind = Kind {
    name: "access",
    commands: &commands::COMMANDS,
    messages: &[],
    new: |_: &Options| Box::<Denials>::default(),
    restore: |bytes, _| Some(Box::new(Denials { denials: denials(bytes)? })),
    guards: false,
    lasts: |_| Lasts::IfItCan,
    attends: |_| false,
};

/// What was saved of one room; nothing where that cannot be read.
pub fn denials(bytes: &[u8]) -> Option<Vec<Denial>> {
    serde_json::from_slice(bytes).ok()
}

/// The name under which it is saved.
pub const NAME: &str = KIND.name;

/// All that one room keeps.
#[derive(Debug, Default)]
struct Denials {
    denials: Vec<Denial>,
}

impl Service for Denials {
    fn call(&mut self, spec: &Spec, args: &Args, context: &mut Context<'_>) -> Result<Value, Refusal> {
        let subject = subject(spec, args, context)?;
        match spec.name {
            "access.unban_user" | "access.unban_client" | "access.unban_network" | "access.restore_key" => {
                Ok(json!({ "removed": self.allow(context, |of| *of == subject) }))
            }
            "access.restore_user" => {
                let is_one = args.has("token_id");
                Ok(
                    json!({ "removed": self.allow(context, |of| if is_one { *of == subject } else { !of.is_ban() }) }),
                )
            }
            _ => self.deny(subject, args, context),
        }
    }

    fn due_ms(&self) -> Option<u64> {
        self.denials.iter().filter_map(|denial| denial.until_ms).min()
    }

    fn tick(&mut self, context: &mut Context<'_>) {
        let now_ms = context.now.mono_ms();
        let (lasting, over) = std::mem::take(&mut self.denials).into_iter().partition(|of| of.counts(now_ms));
        self.denials = lasting;
        for denial in over {
            context.deeds.push(Deed::Deny(DenialChange::Allow(denial.subject)));
            context.changed = true;
        }
    }

    fn is_empty(&self) -> bool {
        self.denials.is_empty()
    }

    fn save(&self) -> Option<Vec<u8>> {
        Some(serde_json::to_vec(&self.denials).expect("invariant: texts and numbers are always JSON"))
    }
}

impl Denials {
    fn deny(&mut self, subject: Subject, args: &Args, context: &mut Context<'_>) -> Result<Value, Refusal> {
        // Every connection of a user or a client is a member of its room.
        let is_own = !matches!(subject, Subject::Network(_) | Subject::Key(_));
        let answer = if is_own { json!({ "connections": context.members }) } else { json!({}) };
        if args.flag("dry_run") == Some(true) {
            return Ok(answer);
        }
        let place = self.denials.iter().position(|denial| subject.replaces(&denial.subject));
        if place.is_none() && self.denials.len() >= DENIALS_MAX {
            let message = format!("there are {DENIALS_MAX} of this kind already; take some back first");
            return Err(Refusal::new(Code::RateLimitExceeded, message));
        }
        let seconds = args.whole("seconds").or((!subject.is_ban()).then_some(REVOCATION_S));
        let denial = Denial {
            reason: args.text("reason").unwrap_or_default().into(),
            by: context.caller.map_or("", Caller::name).into(),
            since_unix_ms: context.now.unix_ms,
            until_ms: seconds.map(|seconds| context.now.mono_ms().saturating_add(seconds * 1_000)),
            subject,
        };
        let denial = match place {
            Some(at) => denial.after(&self.denials[at]),
            None => denial,
        };
        context.changed = true;
        context.deeds.push(Deed::Deny(DenialChange::Deny(denial.clone())));
        match place {
            Some(at) => self.denials[at] = denial,
            None => self.denials.push(denial),
        }
        Ok(answer)
    }

    fn allow(&mut self, context: &mut Context<'_>, is_meant: impl Fn(&Subject) -> bool) -> bool {
        let before = self.denials.len();
        self.denials.retain(|denial| {
            let is_meant = is_meant(&denial.subject);
            if is_meant {
                context.deeds.push(Deed::Deny(DenialChange::Allow(denial.subject.clone())));
            }
            !is_meant
        });
        context.changed |= self.denials.len() < before;
        self.denials.len() < before
    }
}

/// Whom or what a command is about.
fn subject(spec: &Spec, args: &Args, context: &Context<'_>) -> Result<Subject, Refusal> {
    let user_id = || args.word("user_id").into();
    match spec.name {
        "access.ban_user" | "access.unban_user" => Ok(Subject::User(user_id())),
        "access.ban_client" | "access.unban_client" => Ok(Subject::Client(args.word("client_id").into())),
        "access.ban_network" | "access.unban_network" => {
            let network: Network = args.word("network").parse().expect("invariant: the rule asks for it");
            Ok(Subject::Network(network))
        }
        "access.revoke_key" | "access.restore_key" => Ok(Subject::Key(args.word("key_id").into())),
        _ => match (args.text("token_id"), args.time_unix_ms("issued_before")) {
            (Some(_), Some(_)) => {
                let message = "`issued_before` and `token_id` exclude each other";
                Err(invalid("issued_before", message))
            }
            (Some(token_id), None) => Ok(Subject::Token { user_id: user_id(), token_id: token_id.into() }),
            (None, Some(unix_ms)) if unix_ms > context.now.unix_ms + 60_000 => {
                let now = rfc3339_text(context.now.unix_ms);
                Err(invalid(
                    "issued_before",
                    &format!("`issued_before` must not be in the future; it is {now}"),
                ))
            }
            (None, unix_ms) => {
                // A token of this very second may have been issued before.
                let unix_s = unix_ms.unwrap_or(context.now.unix_ms + 999) / 1_000;
                Ok(Subject::TokensBefore { user_id: user_id(), unix_s })
            }
        },
    }
}

impl DenialChange {
    /// The connections that must end for it. Of a revoked token's user all of them: who has a good one comes back. `numbers` are those
    /// of the keys under an id, which the shell knows.
    pub fn ending(&self, numbers: impl FnOnce(&str) -> Vec<u16>) -> Option<Ending> {
        let Self::Deny(Denial { subject, reason, .. }) = self else { return None };
        let (who, close) = match subject {
            Subject::User(user_id) => (Who::User(user_id.clone()), banned(reason)),
            Subject::Client(client_id) => (Who::Client(client_id.clone()), banned(reason)),
            Subject::Network(network) => (Who::Network(*network), banned(reason)),
            Subject::Token { user_id, .. } | Subject::TokensBefore { user_id, .. } => {
                (Who::User(user_id.clone()), revoked())
            }
            Subject::Key(key_id) => (Who::Keys(numbers(key_id).into()), revoked()),
        };
        Some(Ending { who, close, count_only: false })
    }
}

/// What who is banned is told.
pub fn banned(reason: &str) -> Close {
    let close = Close::code(Code::DisconnectedByAdmin, "banned by an operator");
    if reason.is_empty() {
        return close;
    }
    Close { reason: format!("banned: {reason}").into(), ..close }
}

/// What those are told whose token is good no longer: with another one they may come back.
pub fn revoked() -> Close {
    Close::code(Code::TokenExpired, "the token was revoked; reconnect with a new one")
}
