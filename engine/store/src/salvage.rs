//! Saving what can be saved of a damaged file, into a new one.

use std::ffi::OsString;
use std::fs::{hard_link, remove_file, rename};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Database, ReadTransaction, ReadableDatabase};

use crate::backend::Disk;
use crate::error::{Problem, StoreError, contained};
use crate::load::{Loaded, Stored, load};
use crate::overlay::look;
use crate::record::{Row, Writer};
use crate::store::{Check, begin, create, open_database, open_file, sync_folder};
use crate::tables::{CURSORS, DEAD, IDS, MESSAGES, ROOMS, STATES};

/// Bytes of messages that are written with one commit.
const COMMIT_BYTES: usize = 8 << 20;

/// What was saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salvaged {
    /// What the new file holds, and what could not be saved.
    pub records: Loaded,
    /// Where the damaged file is now.
    pub damaged_path: PathBuf,
}

/// Copies every room, dead letter and id that is whole into a new file, which takes the old one's name; the old one
/// is kept beside it. `progress` is told each room. Interrupted, it leaves everything as it was.
///
/// # Errors
/// The file is in use or so damaged that nothing can be read, or the new one cannot be written.
pub fn salvage(path: &Path, progress: &mut dyn FnMut(&str)) -> Result<Salvaged, StoreError> {
    let draft = beside(path, ".salvaged");
    let mut save = || -> Result<Salvaged, Problem> {
        remove_if_there(&draft)?;
        let records = look(path, |database| {
            let read = contained(|| Ok(database.begin_read()?))?;
            create(&draft)?;
            let database = open_database(&Disk::new(FileBackend::new(open_file(&draft)?)?), Check::Nothing)?;
            copy(&read, &database, progress)
        })?;
        let damaged_path = (1..).map(|number| beside(path, &format!(".damaged-{number}")));
        let damaged_path = damaged_path.into_iter().find(|path| !path.exists()).unwrap_or_default();
        hard_link(path, &damaged_path)?;
        rename(&draft, path)?;
        sync_folder(path)?;
        Ok(Salvaged { records, damaged_path })
    };
    save().map_err(|problem| problem.at(path))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn remove_if_there(path: &Path) -> Result<(), Problem> {
    match remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Writes what can be read, in commits of some size.
fn copy(
    read: &ReadTransaction,
    database: &Database,
    progress: &mut dyn FnMut(&str),
) -> Result<Loaded, Problem> {
    let (mut batch, mut bytes, mut failed) = (Vec::new(), 0, Ok(()));
    let loaded = load(read, &mut |stored| {
        bytes += 256;
        if let Stored::Room(room) = &stored {
            progress(room.room.as_str());
            bytes += room.entries.iter().map(|entry| entry.body.len() + 256).sum::<usize>();
        }
        batch.push(stored);
        if bytes > COMMIT_BYTES && failed.is_ok() {
            failed = write(database, &batch);
            bytes = 0;
            batch.clear();
        }
    })?;
    failed?;
    write(database, &batch)?;
    Ok(loaded)
}

fn write(database: &Database, batch: &[Stored]) -> Result<(), Problem> {
    let mut writer = Writer::default();
    let write = begin(database)?;
    {
        let mut rooms = write.open_table(ROOMS)?;
        let mut messages = write.open_table(MESSAGES)?;
        let mut cursors = write.open_table(CURSORS)?;
        let mut dead = write.open_table(DEAD)?;
        let mut ids = write.open_table(IDS)?;
        let mut states = write.open_table(STATES)?;
        for stored in batch {
            match stored {
                Stored::Room(room) => {
                    let name = room.room.as_str();
                    if room.epoch.0 != 0 || room.offset != 0 {
                        let row =
                            Row { epoch: room.epoch, offset: room.offset, kept: room.entries.len() as u64 };
                        rooms.insert(name, writer.row(name, row))?;
                    }
                    for entry in &room.entries {
                        messages.insert((name, entry.offset), writer.entry(name, entry))?;
                    }
                    for (subscriber, cursor) in &room.cursors {
                        let key = (name, subscriber.user.as_str(), subscriber.device.as_deref());
                        cursors.insert(key, writer.cursor(name, subscriber, *cursor))?;
                    }
                }
                Stored::Dead(letter) => {
                    dead.insert((letter.user.as_str(), letter.id), writer.dead(letter))?;
                }
                Stored::State(state) => {
                    let (room, service) = (state.room.as_str(), &*state.service);
                    states.insert((room, service), writer.state(room, service, &state.bytes))?;
                }
                Stored::Id(id) => {
                    ids.insert((id.at_ms, id.room.as_str(), id.offset), writer.stored_id(id))?;
                }
            }
        }
    }
    Ok(write.commit()?)
}
