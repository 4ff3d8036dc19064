//! Remembers what compressed messages said, so that equal bytes are inflated once and not once per receiver.
//!
//! A server that compresses once sends every member the same bytes; inflating them a thousand times would
//! make the load generator the bottleneck. Equal bytes mean equal content where they refer to nothing, or to the same
//! [`Window`]; the comparison is of all bytes, so a damaged message is never mistaken for a good one. What is remembered
//! no more is inflated again: every connection knows its own window.
//!
//! Whether a message refers to anything is not written on it, but an attempt tells: what reaches back further than the
//! text it is given is an error to the inflater, so whatever part of a connection's window suffices is the right one.

use std::rc::Rc;

use fanfare_protocol::deflate::{Inflate, InflateError, Inflater};

use crate::scan::Delivery;
use crate::window::{Context, Window};

/// Places with the same remainder of their hash, one after the other, of which the longest unused is given up.
const WAYS: usize = 4;
/// Messages remembered, in so many times [`WAYS`] places: more than are usually under way at once.
const SETS: usize = 64;
/// The window of messages that refer to nothing.
const ALONE: u64 = 0;

/// What a compressed message said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    hash: u64,
    window: u64,
    compressed: Vec<u8>,
    /// The message.
    pub(crate) plain: Vec<u8>,
    /// The same, once somebody has found it to be that and nothing else.
    pub(crate) delivery: Option<Delivery>,
    /// What the next one may refer to.
    after: Option<Rc<Window>>,
}

/// The latest compressed messages and what they said.
#[derive(Debug)]
pub(crate) struct Memo {
    inflater: Inflater,
    said: Vec<Said>,
    windows: u64,
    /// Messages inflated, which no receiver more should add to.
    #[cfg(test)]
    pub(crate) inflated: usize,
}

impl Memo {
    /// Remembers nothing yet.
    pub(crate) fn new() -> Self {
        Self::with_sets(SETS)
    }

    fn with_sets(sets: usize) -> Self {
        Self {
            inflater: Inflater::new(),
            said: vec![Said::default(); sets * WAYS],
            windows: ALONE,
            #[cfg(test)]
            inflated: 0,
        }
    }

    /// What a connection's next message says. The context is the connection's; none where messages refer to nothing.
    ///
    /// # Errors
    /// It holds more than `bytes_max`, or is broken, or refers to what the connection was never sent.
    #[inline]
    pub(crate) fn read(
        &mut self,
        context: Option<&mut Context>,
        compressed: &[u8],
        bytes_max: usize,
    ) -> Result<&mut Said, InflateError> {
        let hash = hash(compressed);
        let row = context.as_ref().and_then(|context| context.row()).map_or(ALONE, |row| row.id);
        let mut found = self.find(hash, row, compressed);
        if found.is_none() && row != ALONE {
            found = self.find(hash, ALONE, compressed);
        }
        let Some(at) = found else { return self.learn(hash, context, compressed, bytes_max) };
        let said = &mut self.said[at];
        debug_assert_eq!(
            context.is_some(),
            said.after.is_some(),
            "all connections of a run agree to the same"
        );
        if let (Some(context), Some(after)) = (context, &said.after) {
            if said.window == ALONE { context.begins(after.clone()) } else { context.goes_on(after.clone()) }
        }
        Ok(said)
    }

    fn find(&self, hash: u64, window: u64, compressed: &[u8]) -> Option<usize> {
        let first = self.set(hash);
        let is_it = |said: &Said| said.hash == hash && said.window == window && said.compressed == compressed;
        self.said[first..first + WAYS].iter().position(is_it).map(|way| first + way)
    }

    fn set(&self, hash: u64) -> usize {
        (hash >> 32) as usize % (self.said.len() / WAYS) * WAYS
    }

    /// Inflates what nobody remembers: with nothing to refer to, else with the row, else with all there is.
    #[cold]
    fn learn(
        &mut self,
        hash: u64,
        context: Option<&mut Context>,
        compressed: &[u8],
        bytes_max: usize,
    ) -> Result<&mut Said, InflateError> {
        let mut plain = Vec::new();
        let alone = self.inflate(&[], compressed, bytes_max, &mut plain);
        let Some(context) = context else {
            return alone.map(|()| self.remember(hash, ALONE, compressed, plain, None));
        };
        self.windows += 1;
        let id = self.windows;
        match alone {
            Ok(()) => {
                let after = Window::after(&[], &plain, id);
                context.begins(after.clone());
                return Ok(self.remember(hash, ALONE, compressed, plain, Some(after)));
            }
            Err(InflateError::TooLarge) => return Err(InflateError::TooLarge),
            Err(InflateError::Broken) => {}
        }
        let row = context.row().cloned().ok_or(InflateError::Broken)?;
        match self.inflate(&row.text, compressed, bytes_max, &mut plain) {
            Ok(()) => {
                let after = Window::after(&row.text, &plain, id);
                context.goes_on(after.clone());
                Ok(self.remember(hash, row.id, compressed, plain, Some(after)))
            }
            Err(InflateError::TooLarge) => Err(InflateError::TooLarge),
            Err(InflateError::Broken) => {
                // A message of the row could be read on its own by chance, and did not begin it.
                let whole = context.whole().ok_or(InflateError::Broken)?;
                self.inflate(&whole, compressed, bytes_max, &mut plain)?;
                let after = Window::after(&whole, &plain, id);
                context.becomes(after.clone());
                // What it refers to has no name: nobody else will ask for it.
                Ok(self.remember(hash, id, compressed, plain, Some(after)))
            }
        }
    }

    fn inflate(
        &mut self,
        window: &[u8],
        compressed: &[u8],
        bytes_max: usize,
        plain: &mut Vec<u8>,
    ) -> Result<(), InflateError> {
        plain.clear();
        let outcome = self.inflater.inflate_after(window, compressed, bytes_max, plain);
        #[cfg(test)]
        {
            self.inflated += usize::from(outcome.is_ok());
        }
        outcome
    }

    /// Remembers what these bytes say, forgetting the message that has been there longest.
    fn remember(
        &mut self,
        hash: u64,
        window: u64,
        compressed: &[u8],
        plain: Vec<u8>,
        after: Option<Rc<Window>>,
    ) -> &mut Said {
        let first = self.set(hash);
        self.said[first..first + WAYS].rotate_right(1);
        let said = &mut self.said[first];
        said.compressed.clear();
        said.compressed.extend_from_slice(compressed);
        (said.hash, said.window, said.plain, said.delivery, said.after) = (hash, window, plain, None, after);
        said
    }
}

/// Reads the messages of one connection, for those that a read cuts through.
pub(crate) struct Reading<'a> {
    pub(crate) memo: &'a mut Memo,
    pub(crate) context: Option<&'a mut Context>,
}

impl Inflate for Reading<'_> {
    fn inflate_for_now(&mut self, compressed: &[u8], bytes_max: usize) -> Result<&[u8], InflateError> {
        self.memo.read(self.context.as_deref_mut(), compressed, bytes_max).map(|said| said.plain.as_slice())
    }
}

/// From a few samples of the bytes: offset and stamp differ early, checks of the rest are exact anyway.
fn hash(bytes: &[u8]) -> u64 {
    let mut hash = bytes.len() as u64;
    for chunk in bytes.chunks_exact(8).take(32) {
        let word = chunk.iter().fold(0_u64, |word, &byte| word << 8 | u64::from(byte));
        hash = (hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
    hash
}

/// A whole, unfragmented, unmasked frame with RSV1 at the front of `bytes`, if there is one: its payload's
/// start and end.
pub(crate) fn compressed_frame(bytes: &[u8]) -> Option<(usize, usize)> {
    let (&[first, second], rest) = bytes.split_first_chunk::<2>()?;
    if first != 0xc1 && first != 0xc2 {
        return None;
    }
    let (start, len): (usize, usize) = match second {
        0..=125 => (2, usize::from(second)),
        126 => (4, usize::from(u16::from_be_bytes(*rest.first_chunk()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(*rest.first_chunk()?)).ok()?),
        _ => return None,
    };
    let end = start.checked_add(len)?;
    (end <= bytes.len()).then_some((start, end))
}

#[cfg(test)]
mod tests;
