//! From the bytes of reads to messages.

use std::ops::ControlFlow;

use super::header::{Header, Parsed, parse};
use super::mask::rotated;
use super::partial::{Frame, Open, Partial, take_front};
use super::{OpCode, Violation, apply_mask, close};
use crate::deflate::{Inflate, InflateError};

/// Which end of the connection reads (RFC 6455 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Takes masked frames only.
    Server,
    /// Takes unmasked frames only.
    Client,
}

/// What a peer may send.
#[derive(Clone, Copy, Debug)]
pub struct ReaderLimits {
    /// Which end reads.
    pub role: Role,
    /// Longest message, in bytes: as announced, as added up over its fragments, and as inflated.
    pub message_bytes_max: usize,
    /// Most fragments of one message.
    pub fragments_max: usize,
}

/// One message, or one control frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A text message, checked to be UTF-8.
    Text(&'a [u8]),
    /// A binary message.
    Binary(&'a [u8]),
    /// To be answered by a pong with the same payload.
    Ping(&'a [u8]),
    /// The answer to a ping, or unasked.
    Pong(&'a [u8]),
    /// The peer's last frame: nothing after it is read.
    Close {
        /// Why, if it says so.
        code: Option<u16>,
        /// Why, in words; often empty.
        reason: &'a str,
    },
}

/// The reading half of one connection.
///
/// Two words when no message is half read, which is nearly always: what a read cut through lives in a box that
/// is freed again with the message.
#[derive(Debug)]
pub struct MessageReader {
    partial: Option<Box<Partial>>,
    deflate: bool,
    /// A close, a violation or a break of the sink: nothing more is read.
    finished: bool,
}

const _: () = assert!(size_of::<MessageReader>() <= 16, "every idle connection pays for it");

impl MessageReader {
    /// A reader of a connection that did or did not agree to permessage-deflate.
    pub const fn new(deflate: bool) -> Self {
        Self { partial: None, deflate, finished: false }
    }

    /// Whether the next byte begins a frame, and a message.
    pub fn is_between_messages(&self) -> bool {
        self.partial.is_none()
    }

    /// Bytes of half-read messages that are kept.
    pub fn buffered_bytes(&self) -> usize {
        let message = self.partial.as_ref().and_then(|partial| partial.message.as_ref());
        message.map_or(0, |message| message.payload.len())
    }

    /// Feeds the bytes of one read, cut anywhere, and calls `sink` with each message that they complete.
    ///
    /// A frame that lies wholly within `bytes` is unmasked in place and handed over without a copy. Once the
    /// sink breaks, or a close frame was handed over, what follows is ignored.
    ///
    /// # Errors
    /// The first violation of RFC 6455 or of `limits`; nothing is read after it.
    pub fn feed(
        &mut self,
        mut bytes: &mut [u8],
        limits: &ReaderLimits,
        inflater: &mut impl Inflate,
        mut sink: impl FnMut(Incoming<'_>) -> ControlFlow<()>,
    ) -> Result<(), Violation> {
        let mut feed = || {
            while !self.finished {
                let Some(frame) = self.begin(&mut bytes, limits)? else { break };
                self.go_on(frame, &mut bytes, limits, inflater, &mut sink)?;
            }
            Ok(())
        };
        let outcome = feed();
        self.finished |= outcome.is_err();
        if self.finished || self.partial.as_ref().is_some_and(|partial| partial.is_empty()) {
            self.partial = None;
        }
        outcome
    }

    /// The frame to go on with: the one that the last read ended in, or the next. `None` when the bytes are
    /// used up.
    fn begin(&mut self, bytes: &mut &mut [u8], limits: &ReaderLimits) -> Result<Option<Frame>, Violation> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let header = match &mut self.partial {
            Some(partial) => match partial.frame.take() {
                Some(frame) => return Ok(Some(frame)),
                None => partial.header(bytes)?,
            },
            None => match parse(bytes)? {
                Parsed::Whole(header, len) => {
                    take_front(bytes, len);
                    Some(header)
                }
                Parsed::Needs(_) => self.partial.insert(Box::default()).header(bytes)?,
            },
        };
        let Some(header) = header else { return Ok(None) };
        self.check(&header, limits)?;
        Ok(Some(Frame { header, taken: 0 }))
    }

    /// What can be refused before any of the payload is there.
    fn check(&mut self, header: &Header, limits: &ReaderLimits) -> Result<(), Violation> {
        match (limits.role, header.mask) {
            (Role::Server, None) => return Err(Violation::protocol("frame from a client is not masked")),
            (Role::Client, Some(_)) => return Err(Violation::protocol("frame from a server is masked")),
            _ => {}
        }
        if header.rsv1
            && (!self.deflate || header.opcode.is_control() || header.opcode == OpCode::Continuation)
        {
            return Err(Violation::protocol("reserved bit set"));
        }
        if header.opcode.is_control() {
            return Ok(());
        }
        let open = self.partial.as_mut().and_then(|partial| partial.message.as_mut());
        let before = match (open, header.opcode) {
            (Some(open), OpCode::Continuation) => {
                open.fragments += 1;
                if open.fragments > limits.fragments_max {
                    return Err(Violation::too_big("message in too many fragments"));
                }
                open.payload.len()
            }
            (None, OpCode::Continuation) => return Err(Violation::protocol("continuation of no message")),
            (Some(_), _) => return Err(Violation::protocol("new message inside a fragmented one")),
            (None, _) => 0,
        };
        if (before as u64).saturating_add(header.payload_len) > limits.message_bytes_max as u64 {
            return Err(Violation::too_big("message over the size limit"));
        }
        Ok(())
    }

    /// Takes what is there of the frame's payload.
    fn go_on(
        &mut self,
        mut frame: Frame,
        bytes: &mut &mut [u8],
        limits: &ReaderLimits,
        inflater: &mut impl Inflate,
        sink: &mut impl FnMut(Incoming<'_>) -> ControlFlow<()>,
    ) -> Result<(), Violation> {
        let len = usize::try_from(frame.left()).map_or(bytes.len(), |left| left.min(bytes.len()));
        let payload = take_front(bytes, len);
        if let Some(key) = frame.header.mask {
            apply_mask(payload, rotated(key, frame.taken));
        }
        frame.taken += len as u64;
        if frame.header.opcode.is_control() {
            self.control(frame, payload, sink)
        } else {
            self.data(frame, payload, limits, inflater, sink)
        }
    }

    fn control(
        &mut self,
        frame: Frame,
        payload: &[u8],
        sink: &mut impl FnMut(Incoming<'_>) -> ControlFlow<()>,
    ) -> Result<(), Violation> {
        if frame.left() > 0 || frame.taken > payload.len() as u64 {
            let partial = self.partial.get_or_insert_default();
            partial.control.extend_from_slice(payload);
            if frame.left() > 0 {
                partial.frame = Some(frame);
                return Ok(());
            }
            let whole = std::mem::take(&mut partial.control);
            return self.hand_over_control(frame.header.opcode, &whole, sink);
        }
        self.hand_over_control(frame.header.opcode, payload, sink)
    }

    fn hand_over_control(
        &mut self,
        opcode: OpCode,
        payload: &[u8],
        sink: &mut impl FnMut(Incoming<'_>) -> ControlFlow<()>,
    ) -> Result<(), Violation> {
        let incoming = match opcode {
            OpCode::Ping => Incoming::Ping(payload),
            OpCode::Pong => Incoming::Pong(payload),
            _ => {
                let (code, reason) = close::parse(payload)?;
                self.finished = true;
                Incoming::Close { code, reason }
            }
        };
        self.finished |= sink(incoming).is_break();
        Ok(())
    }

    fn data(
        &mut self,
        frame: Frame,
        payload: &[u8],
        limits: &ReaderLimits,
        inflater: &mut impl Inflate,
        sink: &mut impl FnMut(Incoming<'_>) -> ControlFlow<()>,
    ) -> Result<(), Violation> {
        let header = frame.header;
        // A read that ended right behind the header has opened the message already.
        let open = self.partial.as_ref().is_some_and(|partial| partial.message.is_some());
        let alone = header.fin && !open && payload.len() as u64 == header.payload_len;
        if alone {
            let checked = header.opcode != OpCode::Text || header.rsv1 || str::from_utf8(payload).is_ok();
            return self.hand_over(header.opcode, header.rsv1, checked, payload, limits, inflater, sink);
        }
        let partial = self.partial.get_or_insert_default();
        let open = partial.message.get_or_insert_with(|| Open::new(&header));
        open.push(payload)?;
        if frame.left() > 0 {
            partial.frame = Some(frame);
            return Ok(());
        }
        if !header.fin {
            return Ok(());
        }
        let Some(open) = partial.message.take() else { return Ok(()) };
        let checked = open.is_whole_text();
        self.hand_over(open.opcode, open.compressed, checked, &open.payload, limits, inflater, sink)
    }

    /// Hands over a whole message. `checked`: it is not text, or compressed, or known to be UTF-8.
    fn hand_over(
        &mut self,
        opcode: OpCode,
        compressed: bool,
        checked: bool,
        payload: &[u8],
        limits: &ReaderLimits,
        inflater: &mut impl Inflate,
        sink: &mut impl FnMut(Incoming<'_>) -> ControlFlow<()>,
    ) -> Result<(), Violation> {
        let mut checked = checked;
        let payload = if compressed {
            let inflated =
                inflater.inflate_for_now(payload, limits.message_bytes_max).map_err(|error| match error {
                    InflateError::TooLarge => Violation::too_big("message over the size limit once inflated"),
                    InflateError::Broken => Violation::data("compressed data is broken"),
                })?;
            checked = opcode != OpCode::Text || str::from_utf8(inflated).is_ok();
            inflated
        } else {
            payload
        };
        if !checked {
            return Err(Violation::data("text is not UTF-8"));
        }
        let incoming =
            if opcode == OpCode::Text { Incoming::Text(payload) } else { Incoming::Binary(payload) };
        self.finished |= sink(incoming).is_break();
        Ok(())
    }
}
