//! Who is kept out, for the moment of connecting: one table for all shards, which nothing else looks at.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{RwLock, RwLockReadGuard};

use fanfare_core::service::DenialChange;
use fanfare_core::service::access::{Denial, Subject, banned};
use fanfare_protocol::Code;

use super::{AuthReason, Claims, Rejection};

/// Bans and revocations. Their homes keep them; here is a copy that is found without asking a shard.
#[derive(Debug, Default)]
pub struct Denials {
    table: RwLock<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// Bans and revoked tokens of users; few each.
    users: HashMap<Box<str>, Vec<Denial>>,
    clients: HashMap<Box<str>, Denial>,
    keys: HashMap<Box<str>, Denial>,
    networks: Vec<Denial>,
}

/// How many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Users, clients and addresses.
    pub bans: usize,
    /// Tokens and keys.
    pub revocations: usize,
}

impl Denials {
    /// Notes what a home has decided, or has kept from before a restart.
    pub fn apply(&self, change: DenialChange) {
        let mut table = self.table.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        match change {
            DenialChange::Deny(denial) => table.deny(denial),
            DenialChange::Allow(subject) => table.allow(&subject),
        }
    }

    /// Whether who shows a token is kept out. `key_id` is the id of the key that signed it.
    ///
    /// # Errors
    /// Why, for metrics and for the client.
    pub fn check(
        &self,
        claims: &Claims,
        key_id: Option<&str>,
        now_ms: u64,
    ) -> Result<(), (AuthReason, Rejection)> {
        let table = self.read();
        let of_user = table.users.get(&claims.user_id).map_or(&[][..], Vec::as_slice);
        let counting = of_user.iter().filter(|denial| denial.counts(now_ms));
        for denial in counting {
            let is_revoked = match &denial.subject {
                Subject::User(_) => return Err((AuthReason::Banned, ban(denial))),
                Subject::Token { token_id, .. } => claims.token_id.as_ref() == Some(token_id),
                // Who cannot tell when it was issued was issued before.
                Subject::TokensBefore { unix_s, .. } => claims.issued_at_unix_s.is_none_or(|at| at < *unix_s),
                _ => false,
            };
            if is_revoked {
                return Err((AuthReason::Revoked, revoked()));
            }
        }
        let of_key = key_id.and_then(|id| table.keys.get(id));
        if of_key.is_some_and(|denial| denial.counts(now_ms)) {
            return Err((AuthReason::Revoked, revoked()));
        }
        Ok(())
    }

    /// Whether who comes from here, under this client id, is kept out.
    pub fn check_visitor(
        &self,
        client_id: Option<&str>,
        address: IpAddr,
        now_ms: u64,
    ) -> Result<(), Rejection> {
        let table = self.read();
        let of_client = client_id.and_then(|id| table.clients.get(id));
        let is_from = |denial: &&Denial| matches!(&denial.subject, Subject::Network(network) if network.contains(address));
        let mut found = of_client.into_iter().chain(table.networks.iter().filter(is_from));
        match found.find(|denial| denial.counts(now_ms)) {
            Some(denial) => Err(ban(denial)),
            None => Ok(()),
        }
    }

    /// Those that still count and of which this is true, at most so many.
    pub fn list(&self, now_ms: u64, max: usize, is_wanted: impl Fn(&Subject) -> bool) -> Vec<Denial> {
        let table = self.read();
        let all = table.all().filter(|denial| is_wanted(&denial.subject) && denial.counts(now_ms));
        let mut all: Vec<&Denial> = all.collect();
        all.sort_by_key(|denial| std::cmp::Reverse(denial.since_unix_ms));
        all.into_iter().take(max).cloned().collect()
    }

    /// How many there are.
    pub fn counts(&self) -> Counts {
        let table = self.read();
        let bans = table.all().filter(|denial| denial.subject.is_ban()).count();
        Counts { bans, revocations: table.all().count() - bans }
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Table {
    fn all(&self) -> impl Iterator<Item = &Denial> {
        self.users
            .values()
            .flatten()
            .chain(self.clients.values())
            .chain(self.keys.values())
            .chain(&self.networks)
    }

    fn deny(&mut self, denial: Denial) {
        match &denial.subject {
            Subject::Client(client_id) => drop(self.clients.insert(client_id.clone(), denial)),
            Subject::Key(key_id) => drop(self.keys.insert(key_id.clone(), denial)),
            Subject::Network(_) => {
                self.allow(&denial.subject.clone());
                self.networks.push(denial);
            }
            Subject::User(user_id)
            | Subject::Token { user_id, .. }
            | Subject::TokensBefore { user_id, .. } => {
                let user_id = user_id.clone();
                self.allow(&denial.subject.clone());
                self.users.entry(user_id).or_default().push(denial);
            }
        }
    }

    fn allow(&mut self, subject: &Subject) {
        match subject {
            Subject::Client(client_id) => drop(self.clients.remove(client_id)),
            Subject::Key(key_id) => drop(self.keys.remove(key_id)),
            Subject::Network(_) => self.networks.retain(|denial| denial.subject != *subject),
            Subject::User(user_id)
            | Subject::Token { user_id, .. }
            | Subject::TokensBefore { user_id, .. } => {
                let Some(denials) = self.users.get_mut(user_id) else { return };
                denials.retain(|denial| !subject.replaces(&denial.subject));
                if denials.is_empty() {
                    self.users.remove(user_id);
                }
            }
        }
    }
}

fn ban(denial: &Denial) -> Rejection {
    Rejection { code: Code::DisconnectedByAdmin, message: banned(&denial.reason).reason.into_owned() }
}

fn revoked() -> Rejection {
    Rejection { code: Code::AuthenticationFailed, message: "the token was revoked".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(token_id: &str, issued_at_unix_s: Option<u64>) -> Claims {
        Claims {
            user_id: "ada".into(),
            role: "user".into(),
            rooms: None,
            expires_at_unix_s: 9_000,
            token_id: Some(token_id.into()),
            issued_at_unix_s,
            key: 1,
        }
    }

    fn deny(subject: Subject, until_ms: Option<u64>) -> DenialChange {
        let (reason, by) = ("spam".into(), "".into());
        DenialChange::Deny(Denial { subject, reason, by, since_unix_ms: 0, until_ms })
    }

    #[test]
    fn a_ban_counts_until_it_is_over() {
        let denials = Denials::default();
        denials.apply(deny(Subject::User("ada".into()), Some(100)));
        let (reason, told) = denials.check(&claims("t", None), None, 99).unwrap_err();
        assert_eq!((reason, told.code), (AuthReason::Banned, Code::DisconnectedByAdmin));
        assert_eq!(told.message, "banned: spam");
        assert!(denials.check(&claims("t", None), None, 100).is_ok());
        denials.apply(deny(Subject::User("ada".into()), None));
        assert_eq!(denials.counts(), Counts { bans: 1, revocations: 0 });
        denials.apply(DenialChange::Allow(Subject::User("ada".into())));
        assert!(denials.check(&claims("t", None), None, 0).is_ok());
        assert_eq!(denials.counts(), Counts::default());
    }

    #[test]
    fn tokens_are_revoked_by_id_by_age_and_by_key() {
        let denials = Denials::default();
        let is_good = |token: &str, issued, key| denials.check(&claims(token, issued), key, 0).is_ok();
        denials.apply(deny(Subject::Token { user_id: "ada".into(), token_id: "lost".into() }, None));
        assert!(is_good("other", None, Some("k")) && !is_good("lost", Some(1_000), None));
        denials.apply(deny(Subject::TokensBefore { user_id: "ada".into(), unix_s: 500 }, None));
        assert!(is_good("other", Some(500), None) && !is_good("other", Some(499), None));
        assert!(!is_good("other", None, None), "of unknown age");
        denials.apply(deny(Subject::TokensBefore { user_id: "ada".into(), unix_s: 600 }, None));
        assert_eq!(denials.counts(), Counts { bans: 0, revocations: 2 });
        denials.apply(deny(Subject::Key("k".into()), None));
        assert!(is_good("other", Some(700), Some("k2")) && !is_good("other", Some(700), Some("k")));
        let mut of_another = claims("lost", None);
        of_another.user_id = "bob".into();
        assert!(denials.check(&of_another, None, 0).is_ok());
    }

    #[test]
    fn clients_and_addresses_are_kept_out_before_a_token_is_seen() {
        let denials = Denials::default();
        let address = |text: &str| text.parse().unwrap();
        denials.apply(deny(Subject::Client("phone".into()), None));
        denials.apply(deny(Subject::Network("10.0.0.0/8".parse().unwrap()), Some(50)));
        assert!(denials.check_visitor(Some("phone"), address("::1"), 0).is_err());
        assert!(denials.check_visitor(Some("laptop"), address("11.0.0.1"), 0).is_ok());
        assert!(denials.check_visitor(None, address("::ffff:10.1.1.1"), 0).is_err());
        assert!(denials.check_visitor(None, address("10.1.1.1"), 50).is_ok());
        assert_eq!(denials.list(0, 10, Subject::is_ban).len(), 2);
        assert_eq!(denials.list(50, 10, Subject::is_ban).len(), 1);
    }
}
