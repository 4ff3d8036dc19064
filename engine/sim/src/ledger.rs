//! What was published and which place it got: known from the answers to publishers and from what readers see. Both
//! must tell the same story.

use std::collections::{BTreeMap, HashMap};

/// One published message, by its number.
#[derive(Clone, Debug)]
pub struct Published {
    /// Where to.
    pub room: String,
    /// Who published it, and as which user.
    pub by: usize,
    /// The user.
    pub user: String,
    /// The connections on which it was published, so far.
    pub clients: Vec<usize>,
    /// Whether they want to know who acknowledges it.
    pub receipts: bool,
    /// Whether the publisher's role does not allow it.
    pub is_forbidden: bool,
    /// The connection that did, when it wanted no copy.
    pub exclude: Option<usize>,
    /// Only for these roles, when not empty.
    pub roles: Vec<&'static str>,
    /// What a conflating room keeps the newest of.
    pub key: Option<usize>,
    /// 0 (low) to 9 (urgent).
    pub priority: u8,
    /// When it was published first.
    pub at_ms: u64,
    /// Whether it may be of no use before it is replayed.
    pub expires: bool,
    /// The publisher's own id.
    pub message_id: Option<String>,
    /// The place it was told to have.
    pub place: Option<(String, u64)>,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Ledger {
    messages: Vec<Published>,
    /// By room, epoch and offset.
    places: BTreeMap<(String, String, u64), usize>,
    /// The other way round: by message and epoch.
    spots: HashMap<(usize, String), u64>,
    last: HashMap<(String, String), u64>,
    /// The epoch that somebody heard of last, of each room.
    epochs: HashMap<String, String>,
}

impl Ledger {
    /// Notes a message that is about to be published; gives its number.
    pub fn publish(&mut self, message: Published) -> usize {
        self.messages.push(message);
        self.messages.len() - 1
    }

    /// A message is published once more, or for the first time.
    pub fn published_on(&mut self, number: usize, client: usize) {
        self.messages[number].clients.push(client);
    }

    /// One message.
    pub fn message(&self, number: usize) -> &Published {
        &self.messages[number]
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether nothing was published.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// The publisher is told a place.
    ///
    /// # Panics
    /// It was told another one before, or another message has it.
    pub fn answered(&mut self, number: usize, epoch: &str, offset: u64) {
        let place = (epoch.to_owned(), offset);
        let known = self.messages[number].place.replace(place.clone());
        let same = known.as_ref().is_none_or(|known| *known == place || known.0 != place.0);
        assert!(same, "message {number} was told {known:?} and {place:?}");
        let room = self.messages[number].room.clone();
        self.seen(number, &room, epoch, offset);
    }

    /// A reader sees a message in a place.
    ///
    /// # Panics
    /// Another message has that place.
    pub fn seen(&mut self, number: usize, room: &str, epoch: &str, offset: u64) {
        assert_eq!(self.messages[number].room, room, "message {number} is in another room");
        let key = (room.to_owned(), epoch.to_owned(), offset);
        let known = *self.places.entry(key).or_insert(number);
        assert_eq!(known, number, "{room} {epoch} {offset}: two messages in one place");
        let spot = *self.spots.entry((number, epoch.to_owned())).or_insert(offset);
        assert_eq!(spot, offset, "{room} {epoch}: message {number} is in two places");
        let last = self.last.entry((room.to_owned(), epoch.to_owned())).or_default();
        *last = offset.max(*last);
    }

    /// All places that anybody has seen or been told, with the number of the message.
    pub fn places(&self) -> impl Iterator<Item = (&str, &str, u64, usize)> {
        self.places.iter().map(|((room, epoch, offset), number)| (&**room, &**epoch, *offset, *number))
    }

    /// The message in a place, if anybody has seen or been told.
    pub fn at(&self, room: &str, epoch: &str, offset: u64) -> Option<usize> {
        self.places.get(&(room.to_owned(), epoch.to_owned(), offset)).copied()
    }

    /// The known messages of a room after a place.
    pub fn after(&self, room: &str, epoch: &str, offset: u64) -> impl Iterator<Item = &Published> {
        self.known_after(room, epoch, offset).map(|(_, message)| message)
    }

    /// The same, with their places.
    pub fn known_after(
        &self,
        room: &str,
        epoch: &str,
        offset: u64,
    ) -> impl Iterator<Item = (u64, &Published)> {
        let place = |offset| (room.to_owned(), epoch.to_owned(), offset);
        let known = self.places.range(place(offset + 1)..=place(u64::MAX));
        known.map(|((_, _, at), number)| (*at, &self.messages[*number]))
    }

    /// Somebody is told where a room stands: there are messages up to that place.
    pub fn hear_of(&mut self, room: &str, epoch: &str, offset: u64) {
        self.epochs.insert(room.to_owned(), epoch.to_owned());
        let last = self.last.entry((room.to_owned(), epoch.to_owned())).or_default();
        *last = offset.max(*last);
    }

    /// Whether every message after a place is known. Of a count that has ended nobody can say where it stood.
    pub fn knows_all_after(&self, room: &str, epoch: &str, offset: u64) -> bool {
        self.epochs.get(room).is_some_and(|last| last == epoch)
            && self.after(room, epoch, offset).count() as u64 >= self.last(room, epoch).saturating_sub(offset)
    }

    /// Whether that is the epoch that somebody heard of last.
    pub fn is_latest(&self, room: &str, epoch: &str) -> bool {
        self.epochs.get(room).is_some_and(|last| last == epoch)
    }

    /// The last known place of a room in an epoch.
    pub fn last(&self, room: &str, epoch: &str) -> u64 {
        self.last.get(&(room.to_owned(), epoch.to_owned())).copied().unwrap_or(0)
    }
}
