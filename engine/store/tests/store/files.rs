//! Files: made for their owner only, opened once at a time, refused with reasons, looked into, made smaller.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use fanfare_core::Write;
use fanfare_store::{Check, Pages, Problem, Store, compact, inspect, verify};
use redb::{Database, TableDefinition};

use crate::model::{Model, Op, assert_holds};
use crate::random::Random;

/// A folder with a path for a store, removed in the end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("fanfare-store-{test}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder.join("rooms.fanfare"))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.0.parent().unwrap());
    }
}

fn filled(path: &Path) -> Model {
    let (mut model, mut random) = (Model::default(), Random::new(1));
    let mut store = Store::open(path, Check::Pages).unwrap();
    for _ in 0..30 {
        let writes: Vec<Write> = (0..12).map(|_| model.step(Op::random(&mut random))).collect();
        store.apply(writes.iter()).unwrap();
    }
    model
}

fn refusal(path: &Path) -> String {
    Store::open(path, Check::Nothing).unwrap_err().to_string()
}

#[test]
fn a_new_file_is_its_owners_and_has_no_draft_beside_it() {
    let folder = Folder::new("new");
    let model = filled(folder.path());
    assert_eq!(std::fs::metadata(folder.path()).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path().parent().unwrap()).unwrap().count(), 1);
    assert_holds(&Store::open(folder.path(), Check::Pages).unwrap(), &model);
}

#[test]
fn a_file_in_use_is_opened_by_nobody_else() {
    let folder = Folder::new("in-use");
    let store = Store::open(folder.path(), Check::Nothing).unwrap();
    assert!(refusal(folder.path()).contains("in use by another process"));
    assert!(matches!(inspect(folder.path()).unwrap_err().problem, Problem::InUse));
    assert!(matches!(verify(folder.path(), &mut |_| {}).unwrap_err().problem, Problem::InUse));
    assert!(matches!(compact(folder.path()).unwrap_err().problem, Problem::InUse));
    drop(store);
    inspect(folder.path()).unwrap();
}

#[test]
fn what_is_no_store_is_refused_and_left_as_it_is() {
    let folder = Folder::new("foreign");
    for bytes in [b"".as_slice(), b"{}", &[7; 10_000]] {
        std::fs::write(folder.path(), bytes).unwrap();
        assert!(refusal(folder.path()).contains("is not a store of Fanfare"), "{}", refusal(folder.path()));
        assert!(inspect(folder.path()).is_err());
        assert_eq!(std::fs::read(folder.path()).unwrap(), bytes);
    }
    std::fs::remove_file(folder.path()).unwrap();
    let other: TableDefinition<'_, &str, &str> = TableDefinition::new("meta");
    let database = Database::create(folder.path()).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(other).unwrap().insert("a", "b").unwrap();
    write.commit().unwrap();
    drop(database);
    assert!(refusal(folder.path()).contains("is not a store of Fanfare"), "{}", refusal(folder.path()));
}

#[test]
fn a_later_format_is_refused_with_both_numbers() {
    let folder = Folder::new("too-new");
    drop(Store::open(folder.path(), Check::Nothing).unwrap());
    let meta: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
    let database = Database::open(folder.path()).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(meta).unwrap().insert("format", 9).unwrap();
    write.commit().unwrap();
    drop(database);
    assert!(refusal(folder.path()).contains("has format 9, this version of Fanfare knows formats up to 1"));
    assert!(matches!(inspect(folder.path()).unwrap_err().problem, Problem::TooNew { found: 9, known: 1 }));
}

#[test]
fn looking_counts_everything_and_changes_nothing() {
    let folder = Folder::new("inspect");
    let model = filled(folder.path());
    let before = std::fs::read(folder.path()).unwrap();
    let summary = inspect(folder.path()).unwrap();
    let messages: usize = model.rooms.values().map(|room| room.entries.len()).sum();
    assert_eq!((summary.format, summary.file_bytes), (1, before.len() as u64));
    assert_eq!(summary.rooms as usize, model.rooms.values().filter(|room| room.row.is_some()).count());
    assert_eq!(summary.messages as usize, messages);
    assert_eq!(
        summary.subscribers as usize,
        model.rooms.values().map(|room| room.cursors.len()).sum::<usize>()
    );
    assert_eq!((summary.dead_letters as usize, summary.ids as usize), (model.dead.len(), model.ids.len()));
    assert!(summary.largest.is_sorted_by(|a, b| a.bytes >= b.bytes));
    assert_eq!(summary.largest.iter().map(|room| room.bytes).sum::<u64>(), summary.message_bytes);

    let mut rooms = 0;
    let verified = verify(folder.path(), &mut |_| rooms += 1).unwrap();
    assert!(verified.is_sound() && verified.pages == Pages::Sound, "{verified:?}");
    assert_eq!((verified.records.messages as usize, rooms), (messages, model.rooms.len() + 1));
    assert_eq!(std::fs::read(folder.path()).unwrap(), before);
}

#[test]
fn a_killed_file_is_sound_and_looking_leaves_it_so() {
    let folder = Folder::new("killed");
    let model = filled(folder.path());
    let store = Store::open(folder.path(), Check::Nothing).unwrap();
    let killed = std::fs::read(folder.path()).unwrap();
    drop(store);
    std::fs::write(folder.path(), &killed).unwrap();
    assert!(verify(folder.path(), &mut |_| {}).unwrap().is_sound());
    assert_eq!(std::fs::read(folder.path()).unwrap(), killed);
    assert_holds(&Store::open(folder.path(), Check::Nothing).unwrap(), &model);
}

#[test]
fn compacting_makes_a_file_smaller_and_keeps_what_is_in_it() {
    let folder = Folder::new("compact");
    let mut model = filled(folder.path());
    let mut store = Store::open(folder.path(), Check::Nothing).unwrap();
    let op = |room| Op { kind: 0, room, who: 1, number: 8_992 };
    let grow: Vec<Write> = (0..1_500).map(|number| model.step(op(number as u8 % 6))).collect();
    store.apply(grow.iter()).unwrap();
    let forget: Vec<Write> = (0..4).map(|room| model.step(Op { kind: 61, ..op(room) })).collect();
    store.apply(forget.iter()).unwrap();
    drop(store);
    let compacted = compact(folder.path()).unwrap();
    assert!(compacted.after_bytes < compacted.before_bytes * 3 / 4, "{compacted:?}");
    assert_eq!(compacted.after_bytes, std::fs::metadata(folder.path()).unwrap().len());
    assert_holds(&Store::open(folder.path(), Check::Pages).unwrap(), &model);
}
