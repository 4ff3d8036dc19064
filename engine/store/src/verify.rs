//! Whether a file still holds what was written to it: every page's checksum, then every record.

use std::path::Path;

use redb::ReadableDatabase;

use crate::error::{Problem, StoreError, contained};
use crate::load::{Loaded, Stored, load};
use crate::overlay::look;
use crate::tables::format_of;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The version of the format.
    pub format: u64,
    /// The pages.
    pub pages: Pages,
    /// The records, with what is wrong with any.
    pub records: Loaded,
}

/// How the pages are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pages {
    /// All checksums fit.
    Sound,
    /// All checksums of the contents fit; the list of free pages does not, and the next start makes it anew.
    Untidy,
    /// Some checksum does not fit.
    Damaged(String),
}

impl Verified {
    /// Whether nothing is wrong with it.
    pub fn is_sound(&self) -> bool {
        !matches!(self.pages, Pages::Damaged(_)) && self.records.damage.is_empty()
    }
}

/// Reads the whole file and changes nothing in it. No process may have it open to write. `progress` is told what is
/// looked at: the pages, then one room after the other.
///
/// # Errors
/// It is in use, no store, of a later version, or so damaged that it cannot be opened.
pub fn verify(path: &Path, progress: &mut dyn FnMut(&str)) -> Result<Verified, StoreError> {
    let mut check = || -> Result<Verified, Problem> {
        progress("pages");
        let pages = look(path, |database| match contained(|| Ok(database.check_integrity()?)) {
            Ok(true) => Ok(Pages::Sound),
            Ok(false) => Ok(Pages::Untidy),
            Err(Problem::Corrupted(why)) => Ok(Pages::Damaged(why)),
            Err(problem) => Err(problem),
        })?;
        // Looked at anew: the check may have changed what it was shown.
        look(path, |database| {
            let read = contained(|| Ok(database.begin_read()?))?;
            let format = contained(|| format_of(&read))?;
            let records = load(&read, &mut |stored| {
                if let Stored::Room(room) = stored {
                    progress(room.room.as_str());
                }
            })?;
            Ok(Verified { format, pages, records })
        })
    };
    check().map_err(|problem| problem.at(path))
}
