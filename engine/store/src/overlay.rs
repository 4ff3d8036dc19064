//! A file that is only read. redb writes when it opens a file, were it only to note that it is open; these writes
//! stay in memory and are forgotten.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::backends::FileBackend;
use redb::{BackendError, Database, StorageBackend};

use crate::error::{Problem, contained};
use crate::store::{CACHE_BYTES, check_magic};

const BLOCK_BYTES: usize = 4096;

/// Opens a store to look at it. No other process may have it open to write.
pub(crate) fn look<T>(
    path: &Path,
    look: impl FnOnce(&mut Database) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let file = File::open(path)?;
    check_magic(&file)?;
    let len = file.metadata()?.len();
    let overlay = Overlay {
        written: Mutex::new(Written { len, file_bytes: len, blocks: HashMap::new() }),
        file: FileBackend::new(file)?,
    };
    let mut database =
        contained(|| Ok(Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(overlay)?))?;
    let seen = look(&mut database);
    // On closing redb writes, which does not matter here, and may stumble over a damaged page.
    let _ = contained(|| {
        drop(database);
        Ok(())
    });
    seen
}

#[derive(Debug)]
struct Overlay {
    file: FileBackend,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    len: u64,
    /// How much of the file counts still.
    file_bytes: u64,
    blocks: HashMap<u64, Box<[u8; BLOCK_BYTES]>>,
}

impl Overlay {
    fn written(&self) -> MutexGuard<'_, Written> {
        // A panic elsewhere leaves blocks whole.
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the file has of a block, zeros behind its end.
    fn block_of_file(&self, block: u64, file_bytes: u64) -> io::Result<Box<[u8; BLOCK_BYTES]>> {
        let mut bytes = Box::new([0; BLOCK_BYTES]);
        let start = block * BLOCK_BYTES as u64;
        let there = file_bytes.saturating_sub(start).min(BLOCK_BYTES as u64);
        self.file.read(start, &mut bytes[..there as usize])?;
        Ok(bytes)
    }
}

/// The blocks that a range of bytes covers: each one's number, where in it, and where in the range.
fn blocks(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == len {
            return None;
        }
        let at = offset + done as u64;
        let within = (at % BLOCK_BYTES as u64) as usize;
        let part = done..len.min(done + BLOCK_BYTES - within);
        done = part.end;
        Some((at / BLOCK_BYTES as u64, within, part))
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.written().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let written = self.written();
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > written.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if written.blocks.is_empty() && offset + out.len() as u64 <= written.file_bytes {
            return self.file.read(offset, out);
        }
        for (block, within, part) in blocks(offset, out.len()) {
            let len = part.len();
            match written.blocks.get(&block) {
                Some(bytes) => out[part].copy_from_slice(&bytes[within..within + len]),
                None => out[part]
                    .copy_from_slice(&self.block_of_file(block, written.file_bytes)?[within..within + len]),
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut written = self.written();
        written.blocks.retain(|block, _| *block < len.div_ceil(BLOCK_BYTES as u64));
        written.len = len;
        written.file_bytes = written.file_bytes.min(len);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut written = self.written();
        for (block, within, part) in blocks(offset, bytes.len()) {
            let file_bytes = written.file_bytes;
            let to = match written.blocks.entry(block) {
                Entry::Occupied(to) => to.into_mut(),
                Entry::Vacant(free) => free.insert(self.block_of_file(block, file_bytes)?),
            };
            to[within..within + part.len()].copy_from_slice(&bytes[part]);
        }
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    /// Others may read the file as well.
    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }
}
