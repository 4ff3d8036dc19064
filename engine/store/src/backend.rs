//! The disk under redb, with a way back for the header after a failed write.
//!
//! When `fsync` fails, Linux drops what it could not write and goes on showing it to readers: the file seems to hold
//! a commit that the disk does not. A commit built on it would be acknowledged and lost. redb writes new pages beside
//! the old ones, and only the header says which count; so putting the last synced header back undoes the commit for
//! readers and disk alike. That is done at the failure, and again, with a sync that must succeed, by [`Disk::heal`].

use std::io;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{BackendError, StorageBackend};

/// redb's header lies in here, and nothing else.
const HEADER_BYTES: usize = 4096;

/// A disk that remembers what its header was when a sync last succeeded. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Disk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    disk: Box<dyn StorageBackend>,
    header: Mutex<Header>,
}

#[derive(Debug, Default)]
struct Header {
    written: Vec<u8>,
    synced: Vec<u8>,
}

impl Disk {
    /// Whatever the header is now counts as synced.
    pub(crate) fn new(disk: Box<dyn StorageBackend>) -> io::Result<Self> {
        let mut synced = vec![0; HEADER_BYTES.min(usize::try_from(disk.len()?).unwrap_or(usize::MAX))];
        disk.read(0, &mut synced)?;
        let header = Mutex::new(Header { written: synced.clone(), synced });
        Ok(Self(Arc::new(Inner { disk, header })))
    }

    /// Makes sure that the disk holds the last synced header, whatever was tried since.
    pub(crate) fn heal(&self) -> io::Result<()> {
        self.restore_header()?;
        self.0.disk.sync_data()
    }

    fn header(&self) -> MutexGuard<'_, Header> {
        // Its two buffers are whole at any time.
        self.0.header.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn restore_header(&self) -> io::Result<()> {
        let mut header = self.header();
        header.written = header.synced.clone();
        if header.synced.is_empty() { Ok(()) } else { self.0.disk.write(0, &header.synced) }
    }

    /// Puts the header back if this failed. Should that fail as well, healing tries again.
    fn or_restore<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if result.is_err() {
            let _ = self.restore_header();
        }
        result
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.0.disk.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.disk.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.or_restore(self.0.disk.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.or_restore(self.0.disk.sync_data())?;
        let mut header = self.header();
        header.synced = header.written.clone();
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.or_restore(self.0.disk.write(offset, bytes))?;
        if let Ok(start) = usize::try_from(offset)
            && start < HEADER_BYTES
        {
            let end = HEADER_BYTES.min(start + bytes.len());
            let written = &mut self.header().written;
            written.resize(written.len().max(end), 0);
            written[start..end].copy_from_slice(&bytes[..end - start]);
        }
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.0.disk.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.disk.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.disk.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.disk.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.disk.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.disk.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.disk.query_lock_range(start, end)
    }
}
