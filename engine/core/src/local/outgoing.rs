//! What single connections are sent in this tick: answers, pings, close frames.

/// One buffer for each connection that has something; buffers are used again.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    filling: Vec<(u32, Vec<u8>)>,
    flushing: Vec<(u32, Vec<u8>)>,
    spare: Vec<Vec<u8>>,
}

/// Buffers kept for the next tick, and how large a kept one may be.
const SPARE_MAX: usize = 64;
const SPARE_BYTES_MAX: usize = 16 * 1_024;

impl Outgoing {
    /// The buffer of `slot`, whose connection remembers `index` (0: none yet).
    pub(crate) fn buffer(&mut self, slot: u32, index: &mut u32) -> &mut Vec<u8> {
        if *index == 0 {
            self.filling.push((slot, self.spare.pop().unwrap_or_default()));
            *index = self.filling.len() as u32;
        }
        let (owner, buffer) = &mut self.filling[*index as usize - 1];
        assert_eq!(*owner, slot, "a connection wrote into another's buffer");
        buffer
    }

    /// A connection is gone: nobody gets what it was to be sent.
    pub(crate) fn forget(&mut self, index: u32) {
        if index != 0 {
            self.filling[index as usize - 1].1.clear();
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.filling.is_empty()
    }

    /// Begins a flush with everything written so far; gives the slots, whose connections own no buffer now.
    pub(crate) fn begin(&mut self) -> impl Iterator<Item = u32> {
        assert!(self.flushing.is_empty(), "the last flush has not ended");
        std::mem::swap(&mut self.filling, &mut self.flushing);
        self.flushing.iter().map(|(slot, _)| *slot)
    }

    /// What is being flushed: number, slot and bytes of each.
    pub(crate) fn each(&self) -> impl Iterator<Item = (u32, u32, &[u8])> {
        let numbered = (0..).zip(&self.flushing);
        let written = numbered.filter(|(_, (_, buffer))| !buffer.is_empty());
        written.map(|(number, (slot, buffer))| (number, *slot, &buffer[..]))
    }

    /// The slot and bytes of one of [`Outgoing::each`].
    pub(crate) fn flushed(&self, number: u32) -> (u32, &[u8]) {
        let (slot, buffer) = &self.flushing[number as usize];
        (*slot, buffer)
    }

    /// Takes what was written for a connection since the flush began.
    pub(crate) fn take(&mut self, index: &mut u32) -> Option<Vec<u8>> {
        let at = std::mem::take(index).checked_sub(1)?;
        Some(std::mem::take(&mut self.filling[at as usize].1))
    }

    pub(crate) fn finish(&mut self) {
        for (_, mut buffer) in self.flushing.drain(..) {
            if self.spare.len() < SPARE_MAX && buffer.capacity() <= SPARE_BYTES_MAX && buffer.capacity() > 0 {
                buffer.clear();
                self.spare.push(buffer);
            }
        }
    }
}
