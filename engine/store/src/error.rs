//! Why a store could not do what it was asked to, for people: what, where, and what to do next.

use std::fmt;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// What went wrong, and with which file.
#[derive(Debug)]
pub struct StoreError {
    /// The file.
    pub path: PathBuf,
    /// What went wrong.
    pub problem: Problem,
}

/// What went wrong.
#[derive(Debug)]
#[non_exhaustive]
pub enum Problem {
    /// The file does not hold what was written to it.
    Corrupted(String),
    /// No space left, or the quota is used up.
    DiskFull(io::Error),
    /// Another process has it open.
    InUse,
    /// Reading or writing failed.
    Io(io::Error),
    /// An earlier transaction failed; nothing is written until [`Store::heal`](crate::Store::heal).
    NeedsHealing,
    /// It is something else.
    NotAStore(String),
    /// A later version of Fanfare wrote it.
    TooNew {
        /// Its format.
        found: u64,
        /// The newest format known here.
        known: u64,
    },
}

impl Problem {
    pub(crate) fn at(self, path: &Path) -> StoreError {
        StoreError { path: path.to_path_buf(), problem: self }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.problem {
            Problem::Corrupted(what) => write!(
                f,
                "the store {path} is damaged: {what}; check the disk; `fanfare store verify` tells which rooms are \
                 concerned, `fanfare store salvage` saves the others"
            ),
            Problem::DiskFull(error) => write!(
                f,
                "no space left for the store {path} ({error}); free some: nothing acknowledged is lost, and writing \
                 goes on by itself"
            ),
            Problem::InUse => {
                write!(f, "the store {path} is in use by another process; stop it, or choose another file")
            }
            Problem::Io(error) if error.kind() == ErrorKind::NotFound => {
                write!(f, "there is no store {path} ({error}); check the path")
            }
            Problem::Io(error) if error.kind() == ErrorKind::PermissionDenied => {
                write!(
                    f,
                    "the store {path} may not be opened ({error}); check the owner and mode of file and folder"
                )
            }
            Problem::Io(error) => {
                write!(
                    f,
                    "reading or writing the store {path} failed ({error}); check the disk and the kernel's log"
                )
            }
            Problem::NeedsHealing => write!(
                f,
                "the store {path} takes no writes since one failed; it does again once a trial write succeeds"
            ),
            Problem::NotAStore(why) => {
                write!(
                    f,
                    "{path} is not a store of Fanfare: {why}; choose another file, this one is left as it is"
                )
            }
            Problem::TooNew { found, known } => write!(
                f,
                "the store {path} has format {found}, this version of Fanfare knows formats up to {known}; use the \
                 version that wrote it, or a later one"
            ),
        }
    }
}

/// Without the file and without advice, for a list of damages.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Corrupted(what) | Self::NotAStore(what) => f.write_str(what),
            Self::DiskFull(error) | Self::Io(error) => error.fmt(f),
            Self::InUse => f.write_str("in use by another process"),
            Self::NeedsHealing => f.write_str("a write failed before"),
            Self::TooNew { found, known } => write!(f, "format {found}, where {known} is known"),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.problem {
            Problem::DiskFull(error) | Problem::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                Self::DiskFull(error)
            }
            // A file that ends too early or begins with other bytes than redb's.
            ErrorKind::InvalidData | ErrorKind::UnexpectedEof => Self::Corrupted(error.to_string()),
            _ => Self::Io(error),
        }
    }
}

impl From<redb::Error> for Problem {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Io(error) => error.into(),
            redb::Error::DatabaseAlreadyOpen => Self::InUse,
            redb::Error::PreviousIo | redb::Error::DatabaseClosed => Self::NeedsHealing,
            redb::Error::UpgradeRequired(version) => {
                Self::NotAStore(format!("its pages are of redb's file format {version}"))
            }
            redb::Error::Corrupted(what) => Self::Corrupted(what),
            other => Self::Corrupted(other.to_string()),
        }
    }
}

/// redb has an error for each kind of call.
macro_rules! from_redb {
    ($($error:ident),+) => {$(
        impl From<redb::$error> for Problem {
            fn from(error: redb::$error) -> Self {
                redb::Error::from(error).into()
            }
        }
    )+};
}

from_redb!(CommitError, CompactionError, DatabaseError, StorageError, TableError, TransactionError);

/// Does what walks a file's pages, where a damaged page may make redb panic: that is an answer, too.
pub(crate) fn contained<T>(walk: impl FnOnce() -> Result<T, Problem>) -> Result<T, Problem> {
    catch_unwind(AssertUnwindSafe(walk)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it gave up");
        Err(Problem::Corrupted(format!("its pages make no sense ({said})")))
    })
}
