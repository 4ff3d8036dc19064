//! Messages that were given up, kept for the user's operator: to be listed, sent again, or dropped.

use fanfare_protocol::{Refusal, RoomName};

use crate::durable::DeadLetter;
use crate::effect::Effects;
use crate::home::HomeRooms;
use crate::home::room::HomeRoom;
use crate::home::store::Removed;
use crate::mesh::Origin;
use crate::publication::Publication;
use crate::time::Now;

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
        let mut gone = Vec::new();
        while dead.len() > max {
            gone.extend(dead.pop_front());
        }
        self.drop_letters(&gone);
        self.expire_dead(number, now);
    }

    /// Lets go of a room's dead letters that have been kept for long enough.
    pub(super) fn expire_dead(&mut self, number: u32, now: Now) {
        let Some(HomeRoom { more: Some(more), .. }) = self.rooms.get_mut(number) else { return };
        let mut gone = Vec::new();
        while let Some(letter) = more.dead.pop_front_if(|letter| is_over(letter, now)) {
            gone.push(letter);
        }
        self.drop_letters(&gone);
    }

    fn drop_letters(&mut self, gone: &[DeadLetter]) {
        self.readers.dead_letters -= gone.len();
        self.readers.dead_letters_dropped += gone.len() as u64;
        gone.iter().for_each(|letter| self.exhumed(letter));
    }

    /// Sends dead letters again, as new messages to their user: one, or all. Gives how many. Each stays what it is until its message
    /// has its place.
    ///
    /// # Errors
    /// The store takes none.
    pub(super) fn requeue(
        &mut self,
        now: Now,
        user: &RoomName,
        letter: Option<u64>,
        out: &mut Effects,
    ) -> Result<u32, Refusal> {
        let Some(more) = self.more_of(user) else { return Ok(0) };
        let is_on_its_way =
            |id: u64| more.drafts.iter().any(|draft| draft.origins.contains(&Origin::Letter(id)));
        let waits = |of: &&DeadLetter| is_meant(of, letter) && !is_on_its_way(of.id);
        let letters: Vec<DeadLetter> = more.dead.iter().filter(waits).cloned().collect();
        let mut count = 0;
        for letter in letters {
            // Its message is kept, or that the letter is none any more.
            match self.store_takes(&[user, &letter.room]) {
                Err(refusal) if count == 0 => return Err(refusal),
                Err(_) => break,
                Ok(()) => self.publish(now, publication(user.clone(), letter, now), out),
            }
            count += 1;
        }
        Ok(count)
    }

    /// Drops dead letters: one, or all. Gives how many.
    ///
    /// # Errors
    /// The store takes nothing, and would bring them back.
    pub(super) fn drop_dead(&mut self, user: &RoomName, letter: Option<u64>) -> Result<u32, Refusal> {
        let dead = self.more_of(user).into_iter().flat_map(|more| &more.dead);
        let mut meant = dead.filter(|of| is_meant(of, letter));
        meant.try_for_each(|of| self.store_takes(&[&of.room]))?;
        Ok(self.exhume(user, letter).len() as u32)
    }

    /// Whether the store takes what is of these rooms, if anything of them is kept there.
    fn store_takes(&self, rooms: &[&RoomName]) -> Result<(), Refusal> {
        if rooms.iter().any(|room| self.is_durable(room)) {
            self.store.accepts(&self.options)
        } else {
            Ok(())
        }
    }

    /// Takes out one dead letter, or all.
    pub(super) fn exhume(&mut self, user: &RoomName, letter: Option<u64>) -> Vec<DeadLetter> {
        let room = self.rooms.find(user).and_then(|number| self.rooms.get_mut(number));
        let Some(HomeRoom { more: Some(more), .. }) = room else { return Vec::new() };
        let dead = std::mem::take(&mut more.dead);
        let (out, left): (Vec<_>, Vec<_>) = dead.into_iter().partition(|of| is_meant(of, letter));
        more.dead = left.into();
        self.readers.dead_letters -= out.len();
        out.iter().for_each(|letter| self.exhumed(letter));
        out
    }

    fn exhumed(&mut self, letter: &DeadLetter) {
        if self.is_durable(&letter.room) {
            self.store.remove(Removed::Letter(letter.user.clone(), letter.id));
        }
    }
}

/// Whether one is asked for: by its id, or as all are.
fn is_meant(of: &DeadLetter, letter: Option<u64>) -> bool {
    letter.is_none_or(|id| of.id == id)
}

fn is_over(letter: &DeadLetter, now: Now) -> bool {
    letter.died_ms.saturating_add(KEPT_MS) <= now.mono_ms()
}

/// A dead letter as a new message to its user. It keeps its id, which tells the reader that it is the same; it is no
/// retry of its publisher's.
fn publication(user: RoomName, letter: DeadLetter, now: Now) -> Publication {
    let DeadLetter { id, entry, .. } = letter;
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
        origin: Origin::Letter(id),
        received_us: now.mono_us,
    }
}
