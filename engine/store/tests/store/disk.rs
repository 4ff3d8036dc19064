//! A disk in memory that can lose power at any operation, run full, and fail a sync the way Linux does: what could
//! not be written is forgotten, while readers may still be shown it.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::{BackendError, StorageBackend};

use crate::random::Random;

/// What a device writes wholly or not at all.
const SECTOR_BYTES: usize = 512;
const BLOCK_BYTES: u64 = 4096;

/// Clones are the same disk.
#[derive(Clone, Debug)]
pub(crate) struct Disk(Arc<Mutex<State>>);

#[derive(Debug)]
pub(crate) struct State {
    /// What readers see.
    shown: Vec<u8>,
    /// What a power cut leaves for certain.
    durable: Vec<u8>,
    /// What was written since the last sync.
    pending: Vec<Pending>,
    random: Random,
    /// Operations so far: writes, changes of length, syncs.
    pub(crate) operations: u64,
    pub(crate) syncs: u64,
    /// The power fails at this operation.
    pub(crate) cut_at: Option<u64>,
    is_cut: bool,
    /// The sync with this number fails.
    pub(crate) fail_sync: Option<u64>,
    /// Blocks that may be in use; a hole in the file takes none.
    pub(crate) blocks_max: Option<usize>,
    used: BTreeSet<u64>,
    /// The file may not become longer.
    pub(crate) len_max: Option<u64>,
}

#[derive(Clone, Debug)]
enum Pending {
    Write(usize, Vec<u8>),
    SetLen(usize),
}

impl Disk {
    pub(crate) fn new(seed: u64) -> Self {
        Self::of(Vec::new(), seed)
    }

    /// A disk with this on it.
    pub(crate) fn of(image: Vec<u8>, seed: u64) -> Self {
        let used = (0..(image.len() as u64).div_ceil(BLOCK_BYTES)).collect();
        Self(Arc::new(Mutex::new(State {
            shown: image.clone(),
            durable: image,
            pending: Vec::new(),
            random: Random::new(seed),
            operations: 0,
            syncs: 0,
            cut_at: None,
            is_cut: false,
            fail_sync: None,
            blocks_max: None,
            used,
            len_max: None,
        })))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics in here")
    }

    /// What readers see: all that was written, as after `kill -9`.
    pub(crate) fn shown(&self) -> Vec<u8> {
        self.state().shown.clone()
    }

    /// What a power cut leaves: each write since the last sync is there, gone, or there in part.
    pub(crate) fn power_cut(&self) -> Vec<u8> {
        let mut state = self.state();
        state.is_cut = true;
        let State { durable, pending, random, .. } = &mut *state;
        let mut image = durable.clone();
        // Now and then all or nothing: the subtle cases need many to be alike.
        let fate = random.below(4);
        for pending in pending.iter() {
            pending.survive(&mut image, fate, random);
        }
        image
    }
}

impl Pending {
    /// What is left of it in the image.
    fn survive(&self, image: &mut Vec<u8>, fate: u64, random: &mut Random) {
        let all = match fate {
            0 => return,
            1 => true,
            _ => match random.below(3) {
                0 => return,
                1 => true,
                _ => false,
            },
        };
        match self {
            Self::SetLen(len) => image.resize(*len, 0),
            Self::Write(start, bytes) => {
                for (index, sector) in bytes.chunks(SECTOR_BYTES).enumerate() {
                    let start = start + index * SECTOR_BYTES;
                    if start + sector.len() <= image.len() && (all || random.one_in(2)) {
                        image[start..start + sector.len()].copy_from_slice(sector);
                    }
                }
            }
        }
    }
}

impl State {
    /// One operation more, unless the power fails at it.
    fn operate(&mut self) -> io::Result<()> {
        self.operations += 1;
        self.is_cut |= self.cut_at.is_some_and(|at| self.operations > at);
        if self.is_cut { Err(io::Error::other("the power is cut")) } else { Ok(()) }
    }

    /// Linux marks what it could not write as clean. It may have written some, and may drop some of the rest from
    /// its cache.
    fn lose_pending(&mut self) {
        let Self { shown, durable, random, .. } = self;
        for pending in std::mem::take(&mut self.pending) {
            pending.survive(durable, 2, random);
            if let Pending::SetLen(len) = pending {
                durable.resize(len, 0);
            }
        }
        durable.resize(shown.len(), 0);
        for (shown, durable) in shown.chunks_mut(SECTOR_BYTES).zip(durable.chunks(SECTOR_BYTES)) {
            if random.one_in(4) {
                shown.copy_from_slice(durable);
            }
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().shown.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        let start = usize::try_from(offset).expect("fits");
        let from = start.checked_add(out.len()).and_then(|end| state.shown.get(start..end));
        out.copy_from_slice(from.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        state.operate()?;
        if state.len_max.is_some_and(|max| len > max) {
            return Err(ErrorKind::StorageFull.into());
        }
        let len = usize::try_from(len).expect("fits");
        state.shown.resize(len, 0);
        state.pending.push(Pending::SetLen(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        state.operate()?;
        state.syncs += 1;
        if state.fail_sync == Some(state.syncs) {
            state.lose_pending();
            return Err(io::Error::from_raw_os_error(5));
        }
        let State { durable, pending, random, .. } = &mut *state;
        for pending in pending.drain(..) {
            pending.survive(durable, 1, random);
        }
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        state.operate()?;
        let start = usize::try_from(offset).expect("fits");
        for block in offset / BLOCK_BYTES..(offset + bytes.len() as u64).div_ceil(BLOCK_BYTES) {
            let is_full = state.blocks_max.is_some_and(|max| state.used.len() >= max);
            if is_full && !state.used.contains(&block) {
                return Err(io::Error::from_raw_os_error(28));
            }
            state.used.insert(block);
        }
        state.shown[start..start + bytes.len()].copy_from_slice(bytes);
        state.pending.push(Pending::Write(start, bytes.to_vec()));
        Ok(())
    }

    fn try_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn unlock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }
}
