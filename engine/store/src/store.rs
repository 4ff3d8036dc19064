//! An open store: one transaction per call, and getting well after one that failed.

use std::fs::{File, OpenOptions, hard_link, remove_file};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use fanfare_core::Write;
use redb::backends::FileBackend;
use redb::{Database, ReadableTable, StorageBackend, Table, WriteTransaction};

use crate::backend::Disk;
use crate::error::{Problem, StoreError, contained};
use crate::plan::{Plan, RoomPlan};
use crate::record::{self, Row, Writer};
use crate::tables::{self, CURSORS, DEAD, IDS, MESSAGES, ROOMS, STATES};

/// Pages kept in memory, read and unwritten together. A start reads everything once, and writing returns to few
/// pages, so more would only take memory from the rooms.
pub(crate) const CACHE_BYTES: usize = 64 << 20;
/// What redb begins a file with.
const MAGIC: &[u8] = b"redb";

/// An open store.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    disk: Disk,
    /// None while a failed transaction is not healed.
    database: Option<Database>,
    /// Ids used earlier go with the next transaction.
    ids_from_ms: u64,
}

/// What is checked when a store is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Every page against its checksum: about two seconds for 1 GiB. A damaged file is refused before anything is
    /// written to it; [`salvage()`](crate::salvage()) saves what can be saved.
    Pages,
    /// Nothing but what is read later: half a second for 1 GiB. A page of redb's own that went bad is noticed when it
    /// is used, and may end the process.
    Nothing,
}

/// What one transaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Rooms it touched.
    pub rooms: usize,
    /// Messages written.
    pub messages: usize,
    /// Bytes of these messages' records.
    pub bytes: u64,
}

impl Store {
    /// Opens the file, or makes it, readable by its owner only. Closing is dropping.
    ///
    /// # Errors
    /// It is in use, no store, of a later version, damaged, or cannot be read and written.
    pub fn open(path: &Path, check: Check) -> Result<Self, StoreError> {
        let open = || -> Result<Self, Problem> {
            let file = match open_file(path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    create(path)?;
                    open_file(path)?
                }
                opened => opened?,
            };
            check_magic(&file)?;
            Self::new(path, Disk::new(FileBackend::new(file)?), check)
        };
        open().map_err(|problem| problem.at(path))
    }

    /// Opens or makes a store on something else than a file.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_with(backend: impl StorageBackend, check: Check) -> Result<Self, StoreError> {
        let path = Path::new("(no file)");
        Self::new(path, Disk::new(backend), check).map_err(|problem| problem.at(path))
    }

    fn new(path: &Path, disk: Disk, check: Check) -> Result<Self, Problem> {
        let database = Some(open_database(&disk, check)?);
        Ok(Self { path: path.to_path_buf(), disk, database, ids_from_ms: 0 })
    }

    /// Does all writes in one transaction, in their order. They are synced when this returns; when it fails none is
    /// done, unless only the last sync's answer was lost, and every further call fails until [`Store::heal`].
    ///
    /// # Errors
    /// The disk is full or broken, the file damaged, or an earlier failure not healed.
    pub fn apply<'w>(&mut self, writes: impl Iterator<Item = &'w Write>) -> Result<Applied, StoreError> {
        let mut plan = Plan::default();
        writes.for_each(|write| plan.add(write));
        let Some(database) = &self.database else { return Err(Problem::NeedsHealing.at(&self.path)) };
        if plan.is_empty() {
            return Ok(Applied::default());
        }
        match contained(|| execute(database, &plan, self.ids_from_ms)) {
            Ok(applied) => {
                self.ids_from_ms = 0;
                Ok(applied)
            }
            Err(problem) => {
                self.database = None;
                Err(problem.at(&self.path))
            }
        }
    }

    /// Whether a failed transaction waits for [`Store::heal`].
    pub fn needs_healing(&self) -> bool {
        self.database.is_none()
    }

    /// After a failed transaction: opens what was last committed anew and commits once, to see that writing works. What
    /// the failed transaction held is to be undone with [`Write::Undo`] or given again: it is missing, or, if only the
    /// answer of its last sync was bad, all there.
    ///
    /// # Errors
    /// Writing does not work yet; try again later.
    pub fn heal(&mut self) -> Result<(), StoreError> {
        self.database = None;
        self.database =
            Some(open_database(&self.disk, Check::Nothing).map_err(|problem| problem.at(&self.path))?);
        Ok(())
    }

    /// Ids used before this are of no use any more: they go with the next transaction.
    pub fn forget_ids_before(&mut self, at_ms: u64) {
        self.ids_from_ms = self.ids_from_ms.max(at_ms);
    }

    pub(crate) fn database(&self) -> Result<&Database, Problem> {
        self.database.as_ref().ok_or(Problem::NeedsHealing)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

pub(crate) fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

/// Makes the file under another name first, so that one that bears its name is always whole.
pub(crate) fn create(path: &Path) -> Result<(), Problem> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}.new", std::process::id()));
    let draft = PathBuf::from(draft);
    let made = || -> Result<(), Problem> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        let file = options.open(&draft)?;
        drop(open_database(&Disk::new(FileBackend::new(file)?), Check::Nothing)?);
        match hard_link(&draft, path) {
            // Another process was faster; its file is as good.
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error.into()),
            _ => Ok(()),
        }
    };
    let made = made();
    let removed = remove_file(&draft);
    made?;
    removed?;
    Ok(sync_folder(path)?)
}

/// Makes a change of the file's name last.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

pub(crate) fn check_magic(mut file: &File) -> Result<(), Problem> {
    let mut begin = [0; MAGIC.len()];
    match file.read_exact(&mut begin) {
        Ok(()) if begin == MAGIC => Ok(()),
        Err(error) if error.kind() != ErrorKind::UnexpectedEof => Err(error.into()),
        _ => Err(Problem::NotAStore("it begins like none".into())),
    }
}

/// Opens what is there or makes it, and commits, which shows that writing works.
pub(crate) fn open_database(disk: &Disk, check: Check) -> Result<Database, Problem> {
    contained(|| {
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(check == Check::Pages);
        let database = builder.create_with_backend(disk.clone())?;
        let write = begin(&database)?;
        tables::prepare(&write)?;
        write.commit()?;
        Ok(database)
    })
}

/// Every transaction has redb's "quick repair": it notes which pages are free and commits in two phases, with a sync
/// of the new pages before the header turns to them. That costs a second sync, and buys three things. A file of 1 GiB
/// opens within half a second after an unclean end instead of being read three times. A commit whose sync failed is
/// not built upon, whatever the kernel shows of it. And a page that went bad is never taken for an unfinished commit,
/// which redb would quietly take back.
pub(crate) fn begin(database: &Database) -> Result<WriteTransaction, Problem> {
    let mut write = database.begin_write()?;
    write.set_quick_repair(true);
    Ok(write)
}

fn execute(database: &Database, plan: &Plan<'_>, ids_from_ms: u64) -> Result<Applied, Problem> {
    let mut applied = Applied { rooms: plan.rooms.len(), ..Applied::default() };
    let mut writer = Writer::default();
    let write = begin(database)?;
    {
        let mut rooms = write.open_table(ROOMS)?;
        let mut messages = write.open_table(MESSAGES)?;
        let mut cursors = write.open_table(CURSORS)?;
        for (&name, room) in &plan.rooms {
            let begins_anew = room.touches_messages()
                && change_room(name, room, &mut rooms, &mut messages, &mut writer, &mut applied)?;
            change_cursors(name, room, begins_anew, &mut cursors, &mut writer)?;
        }
        let mut dead = write.open_table(DEAD)?;
        for (&(user, id), letter) in &plan.dead {
            match letter {
                Some(letter) => drop(dead.insert((user, id), writer.dead(letter))?),
                None => drop(dead.remove((user, id))?),
            }
        }
        let mut states = write.open_table(STATES)?;
        for (&(room, service), bytes) in &plan.states {
            match bytes {
                Some(bytes) => drop(states.insert((room, service), writer.state(room, service, bytes))?),
                None => drop(states.remove((room, service))?),
            }
        }
        let mut ids = write.open_table(IDS)?;
        if !plan.undone_ids.is_empty() {
            ids.retain(|(_, room, offset), _| {
                plan.undone_ids.get(room).is_none_or(|after| offset <= *after)
            })?;
        }
        for (&(at_ms, room, offset), (epoch, entry)) in &plan.ids {
            ids.insert((at_ms, room, offset), writer.id(room, *epoch, entry))?;
        }
        if ids_from_ms > 0 {
            ids.retain_in(..(ids_from_ms, "", 0), |_, _| false)?;
        }
    }
    write.commit()?;
    Ok(applied)
}

/// A room's row and its messages. True when its count begins anew, so that stored cursors mean nothing any more.
fn change_room(
    name: &str,
    plan: &RoomPlan<'_>,
    rooms: &mut Table<'_, &str, &[u8]>,
    messages: &mut Table<'_, (&str, u64), &[u8]>,
    writer: &mut Writer,
    applied: &mut Applied,
) -> Result<bool, Problem> {
    // A row that cannot be read is that of a room which gets a new epoch.
    let before = rooms.get(name)?.and_then(|row| record::row(name, row.value()).ok());
    let goes_on = |epoch| before.is_some_and(|before| before.epoch == epoch);
    let emptied = plan.emptied || plan.first_epoch.is_some_and(|epoch| !goes_on(epoch));

    let mut removed = 0;
    let mut count = |_: (&str, u64), _: &[u8]| {
        removed += 1;
        false
    };
    if emptied {
        messages.retain_in((name, 0)..=(name, u64::MAX), &mut count)?;
    } else {
        if let Some(to) = plan.trimmed_to {
            messages.retain_in((name, 0)..=(name, to), &mut count)?;
        }
        if let Some(first) = plan.undone_after.and_then(|after| after.checked_add(1)) {
            messages.retain_in((name, first)..=(name, u64::MAX), &mut count)?;
        }
    }

    for (&offset, entry) in &plan.redacted {
        if messages.get((name, offset))?.is_some() {
            messages.insert((name, offset), writer.entry(name, entry))?;
        }
    }
    let mut kept = if emptied { 0 } else { before.map_or(0, |before| before.kept).saturating_sub(removed) };
    for (&offset, entry) in &plan.entries {
        let record = writer.entry(name, entry);
        applied.messages += 1;
        applied.bytes += record.len() as u64;
        if messages.insert((name, offset), record)?.is_none() {
            kept += 1;
        }
    }

    let before = before.filter(|_| !plan.forgotten);
    let epoch = plan.epoch.or(before.map(|before| before.epoch));
    let offset = plan.offset.or(before.map(|before| before.offset));
    if let (Some(epoch), Some(offset)) = (epoch, offset) {
        let row = Row { epoch, offset, kept };
        if before != Some(row) {
            rooms.insert(name, writer.row(name, row))?;
        }
    } else if plan.forgotten {
        rooms.remove(name)?;
    }
    Ok(before.zip(plan.first_epoch).is_some_and(|(before, epoch)| before.epoch != epoch))
}

fn change_cursors(
    name: &str,
    plan: &RoomPlan<'_>,
    begins_anew: bool,
    cursors: &mut Table<'_, tables::CursorKey<'static>, &[u8]>,
    writer: &mut Writer,
) -> Result<(), Problem> {
    if plan.forgotten || plan.cursors_gone || begins_anew {
        let next = tables::name_after(name);
        cursors.retain_in((name, "", None)..(next.as_str(), "", None), |_, _| false)?;
    }
    let early = plan.early_cursors.iter().filter(|_| !begins_anew);
    for (subscriber, cursor) in early.chain(&plan.cursors) {
        let key = (name, subscriber.user.as_str(), subscriber.device.as_deref());
        match cursor {
            Some(cursor) => drop(cursors.insert(key, writer.cursor(name, subscriber, *cursor))?),
            None => drop(cursors.remove(key)?),
        }
    }
    Ok(())
}
