//! Messages that were given up, kept for the user's operator: to be listed, sent again, or dropped.

use fanfare_protocol::RoomName;

use crate::durable::{DeadLetter, Write};
use crate::effect::Effects;
use crate::home::HomeRooms;
use crate::home::room::HomeRoom;
use crate::mesh::Origin;
use crate::publication::Publication;
use crate::time::Now;
use crate::view::{HomeQuestion, ReaderRow, Rows};

/// Milliseconds for which a dead letter is kept.
const KEPT_MS: u64 = 7 * 24 * 3_600_000;

impl HomeRooms {
    /// A message to a user was given up somewhere.
    pub(super) fn bury(&mut self, now: Now, letter: DeadLetter) {
        let user = letter.user.clone();
        let max = self.options.limits.dead_letters;
        let Ok(number) = self.find_or_create(now, &user) else {
            self.readers.dead_letters_dropped += 1;
            self.exhumed(&letter);
            return;
        };
        let room = self.rooms.get_mut(number).expect("invariant: just found");
        let dead = &mut room.more().dead;
        dead.push_back(letter);
        self.readers.dead_letters += 1;
        let is_over = |dead: &std::collections::VecDeque<DeadLetter>| {
            let old = |letter: &DeadLetter| letter.died_ms.saturating_add(KEPT_MS) <= now.mono_ms();
            dead.len() > max || dead.front().is_some_and(old)
        };
        let mut gone = Vec::new();
        while is_over(dead) {
            gone.extend(dead.pop_front());
        }
        for letter in gone {
            self.readers.dead_letters -= 1;
            self.readers.dead_letters_dropped += 1;
            self.exhumed(&letter);
        }
    }

    /// A question that only this home can answer.
    pub(super) fn answer(&mut self, now: Now, question: HomeQuestion, out: &mut Effects) -> Rows {
        let number = self.rooms.find(question.room());
        match question {
            HomeQuestion::Readers { limit, .. } => {
                let Some(room) = number.and_then(|number| self.rooms.get(number)) else {
                    return Rows::Readers(None, Vec::new());
                };
                let of = room.more.iter().flat_map(|more| more.subscribers.iter());
                let acknowledged = room.rules.in_order;
                let rows = of.take(limit as usize).map(|(reader, of)| ReaderRow {
                    reader: reader.clone(),
                    // Where nothing is acknowledged, who is here has been sent everything.
                    offset: if of.is_here() && !acknowledged { room.offset } else { of.cursor },
                    connections: of.connections.len() as u32,
                });
                Rows::Readers(Some((room.epoch, room.offset)), rows.collect())
            }
            HomeQuestion::DeadLetters { limit, .. } => {
                let room = number.and_then(|number| self.rooms.get(number));
                let dead = room.and_then(|room| room.more.as_ref()).map(|more| &more.dead);
                Rows::DeadLetters(dead.into_iter().flatten().take(limit as usize).cloned().collect())
            }
            HomeQuestion::Requeue { user, letter } => {
                let letters = self.exhume(number, letter);
                let count = letters.len() as u32;
                for letter in letters {
                    self.publish(now, publication(user.clone(), letter, now), out);
                }
                Rows::Exhumed(count)
            }
            HomeQuestion::Drop { letter, .. } => Rows::Exhumed(self.exhume(number, letter).len() as u32),
        }
    }

    /// Takes out one dead letter, or all.
    fn exhume(&mut self, number: Option<u32>, letter: Option<u64>) -> Vec<DeadLetter> {
        let room = number.and_then(|number| self.rooms.get_mut(number));
        let Some(HomeRoom { more: Some(more), .. }) = room else { return Vec::new() };
        let is_meant = |of: &DeadLetter| letter.is_none_or(|id| of.id == id);
        let (out, left): (Vec<_>, Vec<_>) = std::mem::take(&mut more.dead).into_iter().partition(is_meant);
        more.dead = left.into();
        self.readers.dead_letters -= out.len();
        out.iter().for_each(|letter| self.exhumed(letter));
        out
    }

    fn exhumed(&mut self, letter: &DeadLetter) {
        if self.is_durable(&letter.room) {
            self.store.write(Write::Exhume { user: letter.user.clone(), id: letter.id });
        }
    }
}

/// A dead letter as a new message to its user. It keeps its id, which tells the reader that it is the same; it is no
/// retry of its publisher's.
fn publication(user: RoomName, letter: DeadLetter, now: Now) -> Publication {
    let entry = letter.entry;
    Publication {
        room: user,
        event: entry.event,
        body: entry.body,
        user: entry.user,
        roles: entry.roles,
        exclude: None,
        exclude_client: None,
        message_id: Some(entry.message_id),
        key: None,
        ttl: None,
        priority: entry.priority,
        receipts: None,
        is_new: true,
        origin: Origin::Silent,
        received_us: now.mono_us,
    }
}
