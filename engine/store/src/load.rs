//! What survived, room by room, so that a damaged room costs only itself.

use std::fmt;

use fanfare_core::{DeadLetter, Epoch, StoredId, StoredRoom, StoredState};
use redb::{Range, ReadOnlyTable, ReadTransaction, ReadableDatabase, TableError};

use crate::error::{Problem, StoreError, contained};
use crate::record::{self, Row};
use crate::store::Store;
use crate::tables::{CURSORS, CursorKey, DEAD, IDS, MESSAGES, ROOMS, STATES, name_after};

/// One thing that survived.
#[derive(Clone, Debug, PartialEq)]
pub enum Stored {
    /// A room. One of which only cursors were stored has the epoch 0 and the offset 0: nothing was ever published in
    /// it, so any epoch will do from now on.
    Room(StoredRoom),
    /// A dead letter.
    Dead(DeadLetter),
    /// A publisher's id. They come in the order of their time.
    Id(StoredId),
    /// What a service had of a room.
    State(StoredState),
}

/// What came, and what could not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Rooms given.
    pub rooms: u64,
    /// Messages in them.
    pub messages: u64,
    /// Dead letters given.
    pub dead_letters: u64,
    /// Ids given.
    pub ids: u64,
    /// States of services given.
    pub states: u64,
    /// What was left out.
    pub damage: Vec<Damage>,
}

/// Something that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// What.
    pub what: Damaged,
    /// What is wrong with it.
    pub why: String,
}

/// What was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damaged {
    /// A room, by its name. Its count must begin anew, in another epoch.
    Room(String),
    /// A dead letter.
    DeadLetter {
        /// Whose, by the name of the user's own room.
        user: String,
        /// Which.
        id: u64,
    },
    /// A publisher's id: a retry of that message would be taken for a new one.
    Id {
        /// Where it was used.
        room: String,
        /// The place that the message got.
        offset: u64,
    },
    /// What a service had of a room.
    State {
        /// The room.
        room: String,
        /// The service.
        service: String,
    },
    /// The rest of a table, by the table's name.
    Table(&'static str),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = &self.why;
        match &self.what {
            Damaged::Room(room) => write!(f, "the room {room:?}: {why}"),
            Damaged::DeadLetter { user, id } => write!(f, "the dead letter {id} of {user:?}: {why}"),
            Damaged::Id { room, offset } => write!(f, "the id of message {offset} of {room:?}: {why}"),
            Damaged::State { room, service } => write!(f, "the {service} state of {room:?}: {why}"),
            Damaged::Table(table) => write!(f, "the rest of the table {table:?}: {why}"),
        }
    }
}

impl Store {
    /// Gives everything that survived, each room by itself; what is damaged is left out and named.
    ///
    /// # Errors
    /// The file cannot be read at all.
    pub fn load(&self, give: &mut dyn FnMut(Stored)) -> Result<Loaded, StoreError> {
        let mut read = || -> Result<Loaded, Problem> {
            let read = contained(|| Ok(self.database()?.begin_read()?))?;
            load(&read, give)
        };
        read().map_err(|problem| problem.at(self.path()))
    }
}

pub(crate) fn load(read: &ReadTransaction, give: &mut dyn FnMut(Stored)) -> Result<Loaded, Problem> {
    let mut loading = Loading { loaded: Loaded::default(), give };
    loading.rooms(&Tables::open(read)?);
    loading.dead(read);
    loading.ids(read);
    loading.states(read);
    Ok(loading.loaded)
}

/// Where a room's parts are.
struct Tables {
    rooms: ReadOnlyTable<&'static str, &'static [u8]>,
    messages: ReadOnlyTable<(&'static str, u64), &'static [u8]>,
    cursors: ReadOnlyTable<CursorKey<'static>, &'static [u8]>,
}

impl Tables {
    fn open(read: &ReadTransaction) -> Result<Self, Problem> {
        contained(|| {
            Ok(Self {
                rooms: read.open_table(ROOMS)?,
                messages: read.open_table(MESSAGES)?,
                cursors: read.open_table(CURSORS)?,
            })
        })
    }

    /// The first name from this one on, in one of the tables.
    fn name_from(&self, table: usize, from: &str) -> Result<Option<String>, Problem> {
        contained(|| {
            Ok(match table {
                0 => self.rooms.range(from..)?.next().transpose()?.map(|(key, _)| key.value().to_owned()),
                1 => {
                    let found = self.messages.range((from, 0)..)?.next().transpose()?;
                    found.map(|(key, _)| key.value().0.to_owned())
                }
                _ => {
                    let found = self.cursors.range((from, "", None)..)?.next().transpose()?;
                    found.map(|(key, _)| key.value().0.to_owned())
                }
            })
        })
    }

    fn room(&self, name: &str) -> Result<StoredRoom, Unreadable> {
        let row = match self.rooms.get(name)? {
            Some(row) => Some(record::row(name, row.value())?),
            None => None,
        };
        let mut entries = Vec::new();
        for message in self.messages.range((name, 0)..=(name, u64::MAX))? {
            let (key, record) = message?;
            let offset = key.value().1;
            let entry = record::entry(name, offset, record.value());
            entries.push(entry.map_err(|why| format!("message {offset}: {why}"))?);
        }
        let mut cursors = Vec::new();
        let next = name_after(name);
        for cursor in self.cursors.range((name, "", None)..(next.as_str(), "", None))? {
            let (key, record) = cursor?;
            let cursor = record::cursor(key.value(), record.value());
            cursors.push(cursor.map_err(|why| format!("the cursor of {:?}: {why}", key.value().1))?);
        }
        let Row { epoch, offset, kept } = match row {
            Some(row) => row,
            None if entries.is_empty() => Row { epoch: Epoch(0), offset: 0, kept: 0 },
            None => return Err(Unreadable(format!("{} messages, but no row", entries.len()))),
        };
        if entries.len() as u64 != kept {
            return Err(Unreadable(format!("{} messages where {kept} were stored", entries.len())));
        }
        // Trimming takes the oldest, so the last one is there unless none is.
        let last = entries.last().map_or(offset, |entry| entry.offset);
        if last != offset {
            return Err(Unreadable(format!("its last place is {offset}, its last message's {last}")));
        }
        Ok(StoredRoom { room: record::name(name)?, epoch, offset, entries, cursors })
    }
}

/// Why a room is left out.
struct Unreadable(String);

impl From<String> for Unreadable {
    fn from(why: String) -> Self {
        Self(why)
    }
}

impl From<redb::StorageError> for Unreadable {
    fn from(error: redb::StorageError) -> Self {
        Self(error.to_string())
    }
}

const TABLES: [&str; 3] = ["rooms", "messages", "cursors"];

struct Loading<'g> {
    loaded: Loaded,
    give: &'g mut dyn FnMut(Stored),
}

impl Loading<'_> {
    /// Every room that any table names, in the order of names.
    fn rooms(&mut self, tables: &Tables) {
        let mut next: [Option<String>; 3] = [0, 1, 2].map(|table| self.name_from(tables, table, ""));
        while let Some(name) = next.iter().flatten().min().cloned() {
            match contained(|| Ok(tables.room(&name))) {
                Ok(Ok(room)) => {
                    self.loaded.rooms += 1;
                    self.loaded.messages += room.entries.len() as u64;
                    (self.give)(Stored::Room(room));
                }
                Ok(Err(Unreadable(why))) => self.damage(Damaged::Room(name.clone()), why),
                Err(problem) => self.damage(Damaged::Room(name.clone()), problem.to_string()),
            }
            let after = name_after(&name);
            for (table, next) in next.iter_mut().enumerate() {
                if next.as_ref() == Some(&name) {
                    *next = self.name_from(tables, table, &after);
                }
            }
        }
    }

    fn name_from(&mut self, tables: &Tables, table: usize, from: &str) -> Option<String> {
        // A name before the one asked for would be met again and again.
        let found = tables.name_from(table, from).and_then(|name| match name {
            Some(name) if name.as_str() < from => Err(Problem::Corrupted("its keys are in disorder".into())),
            name => Ok(name),
        });
        found.unwrap_or_else(|problem| {
            self.damage(Damaged::Table(TABLES[table]), problem.to_string());
            None
        })
    }

    fn dead(&mut self, read: &ReadTransaction) {
        let walk = contained(|| Ok(read.open_table(DEAD)?.range::<(&str, u64)>(..)?));
        self.walk("dead", walk, |key, record| {
            let (user, id) = key;
            let damaged = Damaged::DeadLetter { user: user.into(), id };
            record::dead(user, id, record).map(Stored::Dead).map_err(|why| (damaged, why))
        });
    }

    fn ids(&mut self, read: &ReadTransaction) {
        let walk = contained(|| Ok(read.open_table(IDS)?.range::<(u64, &str, u64)>(..)?));
        self.walk("ids", walk, |key, record| {
            let (at_ms, room, offset) = key;
            let damaged = Damaged::Id { room: room.into(), offset };
            record::id(at_ms, room, offset, record).map(Stored::Id).map_err(|why| (damaged, why))
        });
    }

    fn states(&mut self, read: &ReadTransaction) {
        let walk = contained(|| match read.open_table(STATES) {
            Ok(table) => Ok(Some(table.range::<(&str, &str)>(..)?)),
            // A file that is only looked at may be from before there were services.
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(error.into()),
        });
        let Some(walk) = walk.transpose() else { return };
        self.walk("states", walk, |key, record| {
            let (room, service) = key;
            let damaged = Damaged::State { room: room.into(), service: service.into() };
            record::state(room, service, record).map(Stored::State).map_err(|why| (damaged, why))
        });
    }

    /// Every row of a table, as far as it can be walked.
    fn walk<K: redb::Key>(
        &mut self,
        table: &'static str,
        walk: Result<Range<'_, K, &'static [u8]>, Problem>,
        decode: impl Fn(K::SelfType<'_>, &[u8]) -> Result<Stored, (Damaged, String)>,
    ) {
        let mut rows = match walk {
            Ok(rows) => rows,
            Err(problem) => return self.damage(Damaged::Table(table), problem.to_string()),
        };
        loop {
            match contained(|| {
                Ok(rows.next().transpose()?.map(|(key, record)| decode(key.value(), record.value())))
            }) {
                Ok(None) => return,
                Ok(Some(Ok(stored))) => {
                    match stored {
                        Stored::Dead(_) => self.loaded.dead_letters += 1,
                        Stored::State(_) => self.loaded.states += 1,
                        _ => self.loaded.ids += 1,
                    }
                    (self.give)(stored);
                }
                Ok(Some(Err((damaged, why)))) => self.damage(damaged, why),
                Err(problem) => return self.damage(Damaged::Table(table), problem.to_string()),
            }
        }
    }

    fn damage(&mut self, what: Damaged, why: String) {
        self.loaded.damage.push(Damage { what, why });
    }
}
