//! Who types. Nothing of it outlives anything: it ends with silence, with the connection, and with the process.

use std::collections::BTreeMap;

use serde_json::json;

use crate::id::Address;
use crate::service::{Context, Saying, To};

/// Milliseconds after which somebody who said nothing more does not type.
const LASTS_MS: u64 = 5_000;
/// Milliseconds between two signals about one user.
const PAUSE_MS: u64 = 1_000;
/// Users of one room at a time; more are not told of, since nobody reads such a list.
const TYPISTS_MAX: usize = 100;
/// Connections of one user that count; of more the one that typed the longest ago is forgotten.
const CONNECTIONS_MAX: usize = 8;

/// Who types in one room, by user.
#[derive(Debug, Default)]
pub(super) struct Typing(BTreeMap<String, Typist>);

#[derive(Debug, Default)]
struct Typist {
    /// Where, and until when, in milliseconds of the steady clock. Over HTTP there is no connection.
    hands: Vec<(Option<Address>, u64)>,
    /// The connection that changed it last: it need not be told.
    last: Option<Address>,
    /// What members were told, and when.
    told: bool,
    told_ms: u64,
}

impl Typist {
    fn types(&self) -> bool {
        !self.hands.is_empty()
    }

    /// When something is to be done: the end of one, or what members have not been told yet.
    fn due_ms(&self) -> u64 {
        if self.types() != self.told || !self.types() {
            return self.told_ms + PAUSE_MS;
        }
        self.hands.iter().map(|(_, until_ms)| *until_ms).min().unwrap_or(0)
    }
}

impl Typing {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The users who type, but for one.
    pub(super) fn users<'t>(&'t self, but: &'t str) -> impl Iterator<Item = &'t str> {
        let types = move |(user, typist): &(&String, &Typist)| typist.types() && *user != but;
        self.0.iter().filter(types).map(|(user, _)| &**user)
    }

    /// A user types or does not. Whether it counts as typing then.
    pub(super) fn set(&mut self, user: &str, typing: bool, context: &mut Context<'_>) -> bool {
        let (now_ms, from) = (context.now.mono_ms(), context.caller.and_then(|caller| caller.address));
        if !self.0.contains_key(user) {
            if !typing || self.0.len() >= TYPISTS_MAX {
                return false;
            }
            self.0.insert(user.to_owned(), Typist::default());
        }
        let typist = self.0.get_mut(user).expect("invariant: just put in");
        typist.hands.retain(|(of, _)| *of != from);
        typist.last = from;
        if typing {
            if typist.hands.len() >= CONNECTIONS_MAX {
                typist.hands.remove(0);
            }
            typist.hands.push((from, now_ms + LASTS_MS));
        }
        let types = typist.types();
        self.tell(context);
        types
    }

    /// A connection is gone.
    pub(super) fn left(&mut self, from: Address, context: &mut Context<'_>) {
        for typist in self.0.values_mut() {
            let before = typist.hands.len();
            typist.hands.retain(|(of, _)| *of != Some(from));
            if typist.hands.len() < before {
                typist.last = None;
            }
        }
        self.tell(context);
    }

    /// When to look again, in milliseconds of the steady clock.
    pub(super) fn due_ms(&self) -> Option<u64> {
        self.0.values().map(Typist::due_ms).min()
    }

    /// Ends what is over, and tells members what has changed for long enough.
    pub(super) fn tell(&mut self, context: &mut Context<'_>) {
        let now_ms = context.now.mono_ms();
        self.0.retain(|user, typist| {
            typist.hands.retain(|(_, until_ms)| now_ms < *until_ms);
            let types = typist.types();
            // Who was never told of may be at once.
            let may = typist.told_ms == 0 || now_ms >= typist.told_ms + PAUSE_MS;
            if types != typist.told && may {
                (typist.told, typist.told_ms) = (types, now_ms);
                context.says.push(Saying {
                    key: Some(format!("typing:{user}").into()),
                    exclude: typist.last,
                    ..Saying::new(To::Here, "$typing", json!({ "user_id": user, "typing": types }))
                });
            }
            // Somebody who has just stopped is remembered until it may be told of again.
            types || typist.told || now_ms < typist.told_ms + PAUSE_MS
        });
    }
}
