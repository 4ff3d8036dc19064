//! Giving space back that a store does not need any more.

use std::path::Path;

use redb::backends::FileBackend;

use crate::backend::Disk;
use crate::error::{Problem, StoreError, contained};
use crate::store::{Check, check_magic, open_database, open_file};

/// Sizes of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compacted {
    /// Before.
    pub before_bytes: u64,
    /// After.
    pub after_bytes: u64,
}

/// Moves pages from the end of the file into free ones and cuts it off, in place. An interrupted compaction loses
/// nothing; the next start reads the whole file once.
///
/// # Errors
/// It is in use, no store, of a later version, damaged, or the disk fails.
pub fn compact(path: &Path) -> Result<Compacted, StoreError> {
    let compact = || -> Result<Compacted, Problem> {
        let before_bytes = std::fs::metadata(path)?.len();
        let file = open_file(path)?;
        check_magic(&file)?;
        let mut database = open_database(&Disk::new(FileBackend::new(file)?), Check::Pages)?;
        contained(|| Ok(database.compact()?))?;
        drop(database);
        Ok(Compacted { before_bytes, after_bytes: std::fs::metadata(path)?.len() })
    };
    compact().map_err(|problem| problem.at(path))
}
