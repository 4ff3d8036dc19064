//! What one user has: its own notifications, which of those to its role and to all it has acknowledged, and what it wants.

use std::collections::BTreeMap;

use fanfare_protocol::timestamp::rfc3339_text;
use fanfare_protocol::{Code, Refusal};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::note::{Note, page};
use super::preferences::{Preferences, Verdict};
use super::spent::Spent;
use super::{again, may_withdraw, say, told};
use crate::Address;
use crate::service::{Args, Context, Saying, To};

/// Bytes that the notifications of one user may take; the least goes first, as beyond their number.
const BYTES_MAX: usize = 1 << 20;
/// What was acknowledged stays in the list for so long at most.
const READ_KEPT_MS: u64 = 24 * 3_600_000;
/// Acknowledged notifications of roles and of all that one user remembers: more than can be active for one role at the usual bounds,
/// so that only who changes roles may see one again.
const SEEN_MAX: usize = 512;
/// Notifications, and about how many bytes of them, that one message tells: below what may wait for a connection.
const PAGE_MAX: usize = 100;
const PAGE_BYTES_MAX: usize = 256 << 10;
const LIST_USUAL: u64 = 50;

/// See the module's own text.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Inbox {
    notes: BTreeMap<Box<str>, Own>,
    /// Those of its role and of all that it has acknowledged.
    seen: BTreeMap<Box<str>, Seen>,
    spent: Spent,
    preferences: Preferences,
    turn: u64,
    bytes: usize,
    /// How many made room for others before they were acknowledged.
    dropped: u64,
    /// When quiet hours are over, if they hold something back.
    held_until_ms: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Own {
    note: Note,
    acknowledged: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Seen {
    until_ms: u64,
    dismissed: bool,
}

impl Inbox {
    pub(super) fn is_empty(&self) -> bool {
        self.notes.is_empty()
            && self.seen.is_empty()
            && self.spent.is_empty()
            && self.preferences == Preferences::default()
    }

    pub(super) fn due_ms(&self) -> Option<u64> {
        let own = self.notes.values().map(|own| own.note.expires_ms);
        let seen = self.seen.values().map(|seen| seen.until_ms);
        own.chain(seen).chain(self.spent.due_ms()).chain(self.held_until_ms).min()
    }

    /// Lets go of what is over; says whether there was any.
    pub(super) fn expire(&mut self, context: &Context<'_>) -> bool {
        let now_ms = context.now.mono_ms();
        let (seen, spent) = (self.seen.len(), self.spent.expire(now_ms));
        self.seen.retain(|_, seen| seen.until_ms > now_ms);
        let over: Vec<Own> =
            self.notes.extract_if(.., |_, own| own.note.is_over(now_ms)).map(|of| of.1).collect();
        for own in &over {
            self.bytes -= own.note.bytes();
            self.spent.add(&own.note, context);
        }
        spent || seen != self.seen.len() || !over.is_empty()
    }

    pub(super) fn send(&mut self, args: &Args, context: &mut Context<'_>) -> Result<Value, Refusal> {
        let id = super::id_of(args, context);
        let before = self.notes.get(&*id).map(|own| (own.note.whose(), own.note.answer()));
        if let Some(before) = before.or_else(|| self.spent.find(&id)) {
            return again(before, args, context);
        }
        let rules = &context.options.services.notification;
        let note = Note::read(args, &id, self.turn, rules.ttl_ms, context)?;
        let answer = note.answer();
        self.turn += 1;
        self.bytes += note.bytes();
        context.changed = true;
        let verdict = self.preferences.judge(&note, context.now.unix_ms);
        // Who is there hears of it, also where it is the first to make room.
        if verdict == Verdict::Send {
            say(&note, context);
        }
        self.notes.insert(id.clone(), Own { note, acknowledged: false });
        while self.notes.len() > rules.unread_max || self.bytes > BYTES_MAX {
            self.drop_least(context);
        }
        if !self.notes.contains_key(&id) {
            return Ok(told(args.so_far(), dropped(answer)));
        }
        if let Verdict::Later(left_ms) = verdict {
            self.held_until_ms = Some(context.now.mono_ms() + left_ms);
        }
        Ok(told(args.so_far(), answer))
    }

    /// Makes room: what is acknowledged goes first, then the oldest of the lowest priority.
    fn drop_least(&mut self, context: &mut Context<'_>) {
        let least = self.notes.values().min_by_key(|own| {
            let (priority, sent_us, turn, _) = own.note.place();
            (!own.acknowledged, priority.0, sent_us, turn)
        });
        let Some(id) = least.map(|own| own.note.id.clone()) else { return };
        let own = self.notes.remove(&id).expect("invariant: just seen");
        self.bytes -= own.note.bytes();
        let answer = own.note.answer();
        let answer = if own.acknowledged { answer } else { dropped(answer) };
        self.spent.add_answered(&own.note, answer, context);
        self.dropped += u64::from(!own.acknowledged);
        context.dropped += u64::from(!own.acknowledged);
    }

    pub(super) fn withdraw(&mut self, args: &Args, context: &mut Context<'_>) -> Result<Value, Refusal> {
        let id = args.word("notification_id");
        let so_far = args.so_far()["withdrawn"].as_u64().unwrap_or(0);
        let found = self.notes.get(id);
        if let Some(own) = found {
            may_withdraw(&own.note, context)?;
            self.take(id, context);
            context.signal("$notification_withdrawn", json!({ "notification_id": id }));
            return Ok(json!({ "notification_id": id, "withdrawn": so_far + 1 }));
        }
        Ok(json!({ "notification_id": id, "withdrawn": so_far }))
    }

    /// Takes one out and remembers its id.
    fn take(&mut self, id: &str, context: &mut Context<'_>) {
        let own = self.notes.remove(id).expect("invariant: the caller has seen it");
        self.bytes -= own.note.bytes();
        self.spent.add(&own.note, context);
        context.changed = true;
    }

    /// Marks one as read, or takes it from the list.
    pub(super) fn finish(
        &mut self,
        id: &str,
        dismiss: bool,
        broadcasts: &[Note],
        context: &mut Context<'_>,
    ) -> Result<Value, Refusal> {
        let answer = json!({ "notification_id": id });
        let is_new = if self.notes.contains_key(id) {
            if dismiss {
                self.take(id, context);
            }
            dismiss || self.acknowledge_own(id, context)
        } else if let Some(note) = broadcasts.iter().find(|note| *note.id == *id) {
            self.see(note, dismiss, context)
        } else if self.seen.contains_key(id) || self.spent.has(id) {
            // It was done before, and is asked for again.
            false
        } else {
            let message = "`notification_id`: this user has no such notification";
            return Err(Refusal::new(Code::RoomNotFound, message).at("notification_id"));
        };
        if is_new {
            let event = if dismiss { "$notification_dismissed" } else { "$notification_acknowledged" };
            context.signal(event, answer.clone());
        }
        Ok(answer)
    }

    /// Whether it was unread.
    fn acknowledge_own(&mut self, id: &str, context: &mut Context<'_>) -> bool {
        let own = self.notes.get_mut(id).expect("invariant: the caller has seen it");
        if std::mem::replace(&mut own.acknowledged, true) {
            return false;
        }
        receipt(&own.note, context);
        own.note.expires_ms = own.note.expires_ms.min(context.now.mono_ms() + READ_KEPT_MS);
        context.changed = true;
        true
    }

    /// Remembers that one of its role's, or of everybody's, is done with. Whether that was new.
    fn see(&mut self, note: &Note, dismiss: bool, context: &mut Context<'_>) -> bool {
        if let Some(seen) = self.seen.get_mut(&note.id) {
            let was_dismissed = seen.dismissed;
            seen.dismissed |= dismiss;
            context.changed |= seen.dismissed != was_dismissed;
            return seen.dismissed != was_dismissed;
        }
        if self.seen.len() >= SEEN_MAX {
            let soonest = self.seen.iter().min_by_key(|(_, seen)| seen.until_ms).map(|(id, _)| id.clone());
            soonest.map(|id| self.seen.remove(&id));
        }
        self.seen.insert(note.id.clone(), Seen { until_ms: note.expires_ms, dismissed: dismiss });
        context.changed = true;
        if !dismiss {
            receipt(note, context);
        }
        true
    }

    pub(super) fn acknowledge_all(&mut self, broadcasts: &[Note], context: &mut Context<'_>) -> Value {
        let ids: Vec<Box<str>> = self.notes.keys().cloned().collect();
        let own = ids.iter().filter(|id| self.acknowledge_own(id, context)).count();
        let unseen = broadcasts.iter().filter(|note| !self.seen.contains_key(&note.id));
        let unseen: Vec<&Note> = unseen.collect();
        let seen = unseen.into_iter().filter(|note| self.see(note, false, context)).count();
        if own + seen > 0 {
            context.signal("$notification_acknowledged", json!({ "all": true }));
        }
        json!({ "acknowledged": own + seen })
    }

    pub(super) fn list(&self, args: &Args, broadcasts: &[Note]) -> Value {
        let all = self.all(broadcasts);
        let count = unread(&all);
        let unread_only = args.flag("unread_only") == Some(true);
        let wanted = all.into_iter().filter(|(_, acknowledged)| !(unread_only && *acknowledged));
        let limit = args.whole("limit").unwrap_or(LIST_USUAL) as usize;
        let skip = args.whole("skip").unwrap_or(0) as usize;
        let (notifications, more) = page(wanted.skip(skip), limit, PAGE_BYTES_MAX);
        json!({ "notifications": notifications, "count": count, "more": more, "dropped": self.dropped })
    }

    pub(super) fn count(&self, broadcasts: &[Note]) -> Value {
        json!({ "count": unread(&self.all(broadcasts)) })
    }

    pub(super) fn preferences(&self) -> Value {
        self.preferences.told()
    }

    pub(super) fn set_preferences(&mut self, args: &Args, context: &mut Context<'_>) -> Value {
        let preferences = Preferences::read(args);
        context.changed |= self.preferences != preferences;
        self.preferences = preferences;
        // What was held back may not be any more.
        if self.held_until_ms.is_some() {
            self.held_until_ms = Some(context.now.mono_ms());
            self.tick(context);
        }
        self.preferences.told()
    }

    /// Quiet hours may be over: what they held back is sent.
    pub(super) fn tick(&mut self, context: &mut Context<'_>) {
        let now_ms = context.now.mono_ms();
        if self.held_until_ms.is_none_or(|until_ms| until_ms > now_ms) {
            return;
        }
        context.changed = true;
        let (own, left_ms) = self.to_send(&[], context);
        if left_ms.is_none() && !own.is_empty() && context.members > 0 {
            let (unread, more) = page(own.into_iter().map(|note| (note, false)), PAGE_MAX, PAGE_BYTES_MAX);
            context.signal("$notifications", json!({ "unread": unread, "more": more }));
        }
        self.held_until_ms = left_ms.map(|left_ms| now_ms + left_ms);
    }

    /// A connection is told what waits for it.
    pub(super) fn greet(&mut self, to: Address, broadcasts: &[Note], context: &mut Context<'_>) {
        let count = unread(&self.all(broadcasts));
        if count == 0 {
            return;
        }
        let (waiting, left_ms) = self.to_send(broadcasts, context);
        let (unread, more) = page(waiting.into_iter().map(|note| (note, false)), PAGE_MAX, PAGE_BYTES_MAX);
        if let Some(left_ms) = left_ms {
            self.held_until_ms = Some(context.now.mono_ms() + left_ms);
        }
        let told = json!({ "unread": unread, "count": count, "more": more });
        context.says.push(Saying::new(To::One(to), "$notifications", told));
    }

    /// What is unread and wanted now, in order, and for how long quiet hours hold more back.
    fn to_send<'n>(&'n self, broadcasts: &'n [Note], context: &Context<'_>) -> (Vec<&'n Note>, Option<u64>) {
        let (mut now, mut later) = (Vec::new(), None);
        for (note, _) in self.all(broadcasts).into_iter().filter(|(_, acknowledged)| !acknowledged) {
            // Quiet hours do not hold back what everybody gets, neither here nor live.
            let is_own = self.notes.contains_key(&note.id);
            match self.preferences.judge(note, context.now.unix_ms) {
                Verdict::Send => now.push(note),
                Verdict::Later(_) if !is_own => now.push(note),
                Verdict::Later(left_ms) => later = Some(left_ms),
                Verdict::Keep => {}
            }
        }
        (now, later)
    }

    /// All that there are for the user, in order, and whether each is acknowledged.
    fn all<'n>(&'n self, broadcasts: &'n [Note]) -> Vec<(&'n Note, bool)> {
        let own = self.notes.values().map(|own| (&own.note, own.acknowledged));
        let is_there = |note: &&Note| self.seen.get(&note.id).is_none_or(|seen| !seen.dismissed);
        let of_all = broadcasts.iter().filter(is_there).map(|note| (note, self.seen.contains_key(&note.id)));
        let mut all: Vec<_> = own.chain(of_all).collect();
        all.sort_by(|(one, _), (other, _)| one.place().cmp(&other.place()));
        all
    }
}

/// What the sender is told of one that had to make room before it was acknowledged.
fn dropped(mut answer: Value) -> Value {
    answer["dropped"] = 1.into();
    answer
}

fn unread(all: &[(&Note, bool)]) -> usize {
    all.iter().filter(|(_, acknowledged)| !acknowledged).count()
}

/// Its sender hears that this user has read it, if it wants to.
fn receipt(note: &Note, context: &mut Context<'_>) {
    let Some(sender) = note.wants_receipt() else { return };
    let data = json!({
        "notification_id": note.id,
        "user_id": context.room.as_str().strip_prefix("@user:"),
        "timestamp": rfc3339_text(context.now.unix_ms),
    });
    context.says.push(Saying::new(To::Other(sender), "$notification_receipt", data));
}
