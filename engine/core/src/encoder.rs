//! Making frames: a payload is encoded once for each encoding and compressed once for each way to read it.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use fanfare_protocol::deflate::Deflater;
use fanfare_protocol::ws::{self, OpCode};
use fanfare_protocol::{Dialects, Encoding, Message};
use smallvec::SmallVec;

use crate::class::Class;
use crate::home::Context;
use crate::id::Random;
use crate::prepared::Frames;
use crate::room_type::{Compression, CompressionMode};

/// One for each shard: it owns the compressors for messages on their own, and scratch space.
#[derive(Default)]
pub(crate) struct Encoder {
    /// By level and window.
    deflaters: SmallVec<[(u32, u8, Box<Deflater>); 1]>,
    payload: Vec<u8>,
    compressed: Vec<u8>,
    dialects: Dialects,
    /// For ids of messages that have none.
    random: Random,
    /// What a dialect has made of the payload: the dialect's number and its messages.
    spoken: SmallVec<[(u8, Said); 1]>,
    /// Payloads encoded, frames compressed: what must not grow with the number of receivers.
    pub(crate) encoded: u64,
    pub(crate) compressions: u64,
}

/// Messages of a dialect, without their frames.
type Said = Vec<(OpCode, Vec<u8>)>;

/// How a message is compressed.
pub(crate) struct Manner<'c> {
    pub(crate) rule: Compression,
    /// The room's context, if this message is to go through it.
    pub(crate) context: Option<&'c mut Context>,
    /// Whether those who may follow a context, but do not now, are to get it compressed alone.
    pub(crate) waiting: bool,
}

impl Manner<'_> {
    /// Alone, or not at all.
    pub(crate) fn alone(rule: Compression) -> Self {
        Self { rule, context: None, waiting: true }
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").field("encoded", &self.encoded).finish_non_exhaustive()
    }
}

impl Encoder {
    pub(crate) fn new(dialects: Dialects, random: Random) -> Self {
        Self { dialects, random, ..Self::default() }
    }

    /// Makes a frame for each of `classes`: the payload once per encoding, compressed once per window and context.
    pub(crate) fn prepare(
        &mut self,
        message: &Message<'_>,
        classes: impl Iterator<Item = Class> + Clone,
        mut manner: Manner<'_>,
    ) -> Frames {
        let mut frames = Frames::default();
        let mut own_id = Cow::Borrowed(message.message_id);
        for encoding in [Encoding::Json, Encoding::MessagePack] {
            let mut of_encoding = classes.clone().filter(|class| class.encoding() == encoding).peekable();
            if of_encoding.peek().is_none() {
                continue;
            }
            self.payload.clear();
            encoding.encode_message(message, &mut self.payload);
            self.encoded += 1;
            frames.is_plain(encoding, ws::header_len(self.payload.len()) + self.payload.len());
            self.spoken.clear();
            for class in of_encoding {
                if class.dialect() > 0 {
                    if own_id.is_empty() {
                        own_id = self.random.message_id(message.timestamp_unix_ms).into();
                    }
                    self.prepare_spoken(class, &own_id, manner.rule, &mut frames);
                } else if class.may_follow() {
                    self.prepare_shared(class, &mut manner, &mut frames);
                } else {
                    self.prepare_alone(class, manner.rule, &mut frames);
                }
            }
        }
        frames
    }

    /// The frame of a class whose messages are compressed alone, if at all.
    fn prepare_alone(&mut self, class: Class, rule: Compression, frames: &mut Frames) {
        if frames.has(class) {
            return;
        }
        let compressed = class.window_bits().and_then(|bits| self.compressed_alone(class, bits, rule));
        let frame = match compressed {
            Some(frame) => frame,
            None => self.plain(class, frames),
        };
        frames.push(class, frame);
    }

    /// All forms that connections of a class may read, as far as they differ.
    fn prepare_shared(&mut self, class: Class, manner: &mut Manner<'_>, frames: &mut Frames) {
        if frames.has(class) {
            return;
        }
        if manner.waiting {
            self.prepare_alone(class.alone(), manner.rule, frames);
        }
        // Who follows another room gets it, and whoever has fallen out of step since.
        let plain = self.plain(class, frames);
        let through =
            manner.context.as_mut().filter(|_| self.payload.len() >= manner.rule.shared_threshold_bytes);
        self.compressed.clear();
        let is_shared = through
            .is_some_and(|context| context.compress(class.encoding(), &self.payload, &mut self.compressed));
        self.compressions += u64::from(is_shared);
        let frame = if is_shared { frame(class.encoding(), true, &self.compressed) } else { plain };
        frames.push(class, frame);
    }

    /// What those who speak a dialect are sent: nothing, one message or several, one behind the other.
    #[cold]
    fn prepare_spoken(&mut self, class: Class, own_id: &str, rule: Compression, frames: &mut Frames) {
        if frames.has(class) {
            return;
        }
        let dialect = class.dialect();
        if !self.spoken.iter().any(|(of, _)| *of == dialect) {
            let mut said = Said::new();
            let speech = &self.dialects[usize::from(dialect) - 1];
            speech.message(&self.payload, own_id, &mut |opcode, bytes| said.push((opcode, bytes.to_vec())));
            self.encoded += 1;
            self.spoken.push((dialect, said));
        }
        let (_, said) = self.spoken.iter().find(|(of, _)| *of == dialect).expect("invariant: just made");
        let mut bytes = Vec::new();
        for (opcode, payload) in said {
            let is_worth_it = payload.len() >= rule.threshold_bytes && rule.mode != CompressionMode::Off;
            self.compressed.clear();
            if let Some(bits) = class.window_bits().filter(|_| is_worth_it) {
                deflater(&mut self.deflaters, rule.level, bits).compress(payload, &mut self.compressed);
                self.compressions += 1;
            }
            let shrinks = !self.compressed.is_empty() && self.compressed.len() < payload.len();
            let payload = if shrinks { &self.compressed } else { payload };
            ws::encode_frame(&mut bytes, *opcode, shrinks, payload);
        }
        frames.push(class, bytes.into());
    }

    /// The payload as it is.
    fn plain(&self, class: Class, frames: &mut Frames) -> Bytes {
        let class = class.plain();
        if let Some(made) = frames.get(class) {
            return made.clone();
        }
        let made = frame(class.encoding(), false, &self.payload);
        frames.push(class, made.clone());
        made
    }

    /// The payload compressed, unless it is short or does not shrink.
    fn compressed_alone(&mut self, class: Class, bits: u8, rule: Compression) -> Option<Bytes> {
        if self.payload.len() < rule.threshold_bytes || rule.mode == CompressionMode::Off {
            return None;
        }
        self.compressed.clear();
        deflater(&mut self.deflaters, rule.level, bits).compress(&self.payload, &mut self.compressed);
        self.compressions += 1;
        let shrinks = self.compressed.len() < self.payload.len();
        shrinks.then(|| frame(class.encoding(), true, &self.compressed))
    }
}

/// The compressor for messages on their own, made when it is first wanted.
fn deflater(all: &mut SmallVec<[(u32, u8, Box<Deflater>); 1]>, level: u32, bits: u8) -> &mut Deflater {
    let found = all.iter().position(|(of, window, _)| (*of, *window) == (level, bits));
    let at = found.unwrap_or_else(|| {
        all.push((level, bits, Box::new(Deflater::new(level, bits))));
        all.len() - 1
    });
    &mut all[at].2
}

fn frame(encoding: Encoding, rsv1: bool, payload: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(ws::header_len(payload.len()) + payload.len());
    ws::encode_frame(&mut bytes, encoding.opcode(), rsv1, payload);
    bytes.into()
}
