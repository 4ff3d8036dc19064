//! What is in a store, for the operator.

use std::collections::BTreeMap;
use std::path::Path;

use redb::{Database, ReadableDatabase, ReadableTableMetadata, TableError};

use crate::error::{Problem, StoreError, contained};
use crate::overlay::look;
use crate::tables::{CURSORS, DEAD, IDS, MESSAGES, ROOMS, STATES, format_of};

/// How many of the largest rooms are named.
const LARGEST: usize = 20;

/// What is in a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The version of the format.
    pub format: u64,
    /// Size of the file.
    pub file_bytes: u64,
    /// Rooms that have a count.
    pub rooms: u64,
    /// Messages kept.
    pub messages: u64,
    /// Bytes of their records.
    pub message_bytes: u64,
    /// Subscribers, each counted in each of its rooms.
    pub subscribers: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Publishers' ids.
    pub ids: u64,
    /// What services keep, by service: of how many rooms.
    pub states: BTreeMap<String, u64>,
    /// The rooms with the most bytes, largest first.
    pub largest: Vec<RoomSize>,
}

/// What one room takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomSize {
    /// Its name.
    pub room: String,
    /// Messages kept.
    pub messages: u64,
    /// Bytes of their records.
    pub bytes: u64,
}

/// Looks into a store that no process has open, without changing it.
///
/// # Errors
/// It is in use, no store, of a later version, or damaged; [`verify()`](crate::verify()) tells where.
pub fn inspect(path: &Path) -> Result<Summary, StoreError> {
    let file_bytes = std::fs::metadata(path).map(|meta| meta.len());
    let seen =
        look(path, |database| contained(|| Ok(Summary { file_bytes: file_bytes?, ..summary(database)? })));
    seen.map_err(|problem| problem.at(path))
}

fn summary(database: &Database) -> Result<Summary, Problem> {
    let read = database.begin_read()?;
    let mut summary = Summary {
        format: format_of(&read)?,
        rooms: read.open_table(ROOMS)?.len()?,
        subscribers: read.open_table(CURSORS)?.len()?,
        dead_letters: read.open_table(DEAD)?.len()?,
        ids: read.open_table(IDS)?.len()?,
        ..Summary::default()
    };
    match read.open_table(STATES) {
        Ok(states) => {
            for state in states.range::<(&str, &str)>(..)? {
                *summary.states.entry(state?.0.value().1.to_owned()).or_default() += 1;
            }
        }
        // It may be from before there were services.
        Err(TableError::TableDoesNotExist(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let mut current: Option<RoomSize> = None;
    for message in read.open_table(MESSAGES)?.range::<(&str, u64)>(..)? {
        let (key, record) = message?;
        let (room, bytes) = (key.value().0, record.value().len() as u64);
        match &mut current {
            Some(size) if size.room == room => {
                size.messages += 1;
                size.bytes += bytes;
            }
            _ => {
                let next = RoomSize { room: room.to_owned(), messages: 1, bytes };
                summary.count(current.replace(next));
            }
        }
    }
    summary.count(current);
    Ok(summary)
}

impl Summary {
    fn count(&mut self, room: Option<RoomSize>) {
        let Some(room) = room else { return };
        self.messages += room.messages;
        self.message_bytes += room.bytes;
        let place = self.largest.partition_point(|other| other.bytes >= room.bytes);
        if place < LARGEST {
            self.largest.insert(place, room);
            self.largest.truncate(LARGEST);
        }
    }
}
