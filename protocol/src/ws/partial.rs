//! What is kept between two reads of a connection: only ever what a read cut through.

use super::header::{HEADER_BYTES_MAX, Header, Parsed, parse};
use super::utf8::Utf8;
use super::{OpCode, Violation};

/// A frame whose header was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) header: Header,
    /// Bytes of its payload that were read.
    pub(super) taken: u64,
}

impl Frame {
    /// Bytes of its payload that are still to come.
    pub(super) fn left(&self) -> u64 {
        self.header.payload_len - self.taken
    }
}

/// A message of which a part was read.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) opcode: OpCode,
    pub(super) compressed: bool,
    pub(super) fragments: usize,
    /// What arrived, unmasked; never sized by what was announced.
    pub(super) payload: Vec<u8>,
    utf8: Utf8,
}

impl Open {
    pub(super) fn new(first: &Header) -> Self {
        Self {
            opcode: first.opcode,
            compressed: first.rsv1,
            fragments: 1,
            payload: Vec::new(),
            utf8: Utf8::default(),
        }
    }

    /// Takes the next bytes, unmasked.
    ///
    /// # Errors
    /// Text that is not UTF-8, at its first wrong byte; compressed text can only be checked once inflated.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        if self.opcode == OpCode::Text && !self.compressed && !self.utf8.feed(bytes) {
            return Err(Violation::data("text is not UTF-8"));
        }
        self.payload.extend_from_slice(bytes);
        Ok(())
    }

    /// Whether the text, as it was checked by [`Self::push`], may end here.
    pub(super) fn is_whole_text(&self) -> bool {
        self.utf8.is_whole()
    }
}

/// The state between two reads.
#[derive(Debug, Default)]
pub(super) struct Partial {
    header: [u8; HEADER_BYTES_MAX],
    header_len: usize,
    /// The frame that the last read ended in.
    pub(super) frame: Option<Frame>,
    /// The message that the last data frame left open.
    pub(super) message: Option<Open>,
    /// What is there of a control frame's payload.
    pub(super) control: Vec<u8>,
}

impl Partial {
    /// Whether nothing would be lost with it.
    pub(super) fn is_empty(&self) -> bool {
        self.header_len == 0 && self.frame.is_none() && self.message.is_none()
    }

    /// Goes on with a header that an earlier read cut, or begins one; takes its bytes off the front of `bytes`.
    ///
    /// # Errors
    /// The header is wrong.
    pub(super) fn header(&mut self, bytes: &mut &mut [u8]) -> Result<Option<Header>, Violation> {
        loop {
            match parse(&self.header[..self.header_len])? {
                Parsed::Whole(header, len) => {
                    debug_assert_eq!(len, self.header_len, "no byte more than needed was taken");
                    self.header_len = 0;
                    return Ok(Some(header));
                }
                Parsed::Needs(_) if bytes.is_empty() => return Ok(None),
                Parsed::Needs(len) => {
                    let missing = len - self.header_len;
                    let taken = take_front(bytes, missing.min(bytes.len()));
                    self.header[self.header_len..self.header_len + taken.len()].copy_from_slice(taken);
                    self.header_len += taken.len();
                }
            }
        }
    }
}

/// Splits `len` bytes off the front.
pub(super) fn take_front<'a>(bytes: &mut &'a mut [u8], len: usize) -> &'a mut [u8] {
    let (front, rest) = std::mem::take(bytes).split_at_mut(len);
    *bytes = rest;
    front
}
