//! Which tables there are. A table's rows are only read where a checksum can be checked ([`crate::record`]).

use redb::{ReadTransaction, TableDefinition, TableError, WriteTransaction};

use crate::error::Problem;

/// The format that this version writes.
pub(crate) const FORMAT: u64 = 1;
/// Where it is noted.
pub(crate) const FORMAT_KEY: &str = "format";

/// What concerns the file as a whole.
pub(crate) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// A room: its epoch, its last offset, how many messages are kept.
pub(crate) const ROOMS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("rooms");
/// A message by its room and its offset.
pub(crate) const MESSAGES: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("messages");
/// How far a subscriber has come, by room, user and device.
pub(crate) const CURSORS: TableDefinition<'_, CursorKey<'_>, &[u8]> = TableDefinition::new("cursors");
/// A dead letter by its user and its number.
pub(crate) const DEAD: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("dead");
/// A publisher's id by the time of its use, so that the old go in one range, and its place.
pub(crate) const IDS: TableDefinition<'_, (u64, &str, u64), &[u8]> = TableDefinition::new("ids");

/// What a service has of a room.
pub(crate) const STATES: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("states");

/// Room, user, device.
pub(crate) type CursorKey<'k> = (&'k str, &'k str, Option<&'k str>);

/// The first name that may follow this one. No name holds a control character.
pub(crate) fn name_after(name: &str) -> String {
    format!("{name}\0")
}

/// Makes the tables of a new file, or checks that the file is a store of a format known here.
pub(crate) fn prepare(write: &WriteTransaction) -> Result<(), Problem> {
    let is_new = write.list_tables()?.next().is_none();
    let mut meta = write.open_table(META).map_err(foreign)?;
    if is_new {
        meta.insert(FORMAT_KEY, FORMAT)?;
    }
    let found = redb::ReadableTable::get(&meta, FORMAT_KEY)?.map(|format| format.value());
    check_format(found)?;
    write.open_table(ROOMS).map_err(foreign)?;
    write.open_table(MESSAGES).map_err(foreign)?;
    write.open_table(CURSORS).map_err(foreign)?;
    write.open_table(DEAD).map_err(foreign)?;
    write.open_table(IDS).map_err(foreign)?;
    write.open_table(STATES).map_err(foreign)?;
    Ok(())
}

/// The format of a file that is only read.
pub(crate) fn format_of(read: &ReadTransaction) -> Result<u64, Problem> {
    let meta = read.open_table(META).map_err(foreign)?;
    check_format(meta.get(FORMAT_KEY)?.map(|format| format.value()))
}

fn check_format(found: Option<u64>) -> Result<u64, Problem> {
    match found {
        Some(found) if found > FORMAT => Err(Problem::TooNew { found, known: FORMAT }),
        Some(found) => Ok(found),
        None => Err(Problem::NotAStore("it names no format".into())),
    }
}

/// A table that is missing or of other types was made by another program.
fn foreign(error: TableError) -> Problem {
    match error {
        TableError::Storage(error) => error.into(),
        other => Problem::NotAStore(other.to_string()),
    }
}
