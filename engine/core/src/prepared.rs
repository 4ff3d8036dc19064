//! A message's finished bytes: one frame for each class that has a receiver, made once, shared by all.

use std::fmt;

use bytes::Bytes;
use fanfare_protocol::deflate::Deflater;
use fanfare_protocol::ws::{self, OpCode};
use fanfare_protocol::{Encoding, Message, RoomName, json, msgpack};
use smallvec::SmallVec;

use crate::class::Class;
use crate::id::{Address, Epoch};
use crate::options::Compression;

/// A published message on its way to the members. It never changes once made.
#[derive(Debug)]
pub struct Prepared {
    /// The room it was published to.
    pub room: RoomName,
    /// Its place there.
    pub epoch: Epoch,
    /// Its place there.
    pub offset: u64,
    /// When not empty: only connections with one of these roles get it.
    pub roles: Vec<Box<str>>,
    /// The publisher, when it asked to be left out.
    pub exclude: Option<Address>,
    /// When the publish command was read.
    pub received_us: u64,
    /// What stands for the message's key where rooms conflate; 0: it has none.
    pub key: u64,
    /// With which priority it is put ahead of what waits for slow readers; 0: with none. Not what readers are told.
    pub overtakes: u8,
    frames: SmallVec<[(Class, Bytes); 2]>,
}

impl Prepared {
    /// The whole frame for a class. Nothing, when no member of that class was there when it was made.
    pub fn frame(&self, class: Class) -> Option<&Bytes> {
        self.frames.iter().find(|(made_for, _)| *made_for == class).map(|(_, frame)| frame)
    }

    /// Bytes of all its frames.
    pub fn len(&self) -> usize {
        self.frames.iter().map(|(_, frame)| frame.len()).sum()
    }

    /// Whether nobody is there to read it.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
}

/// Makes frames. One for each shard: it owns the compressors and their scratch space.
pub(crate) struct Encoder {
    compression: Compression,
    deflaters: [Option<Deflater>; 7],
    payload: Vec<u8>,
    compressed: Vec<u8>,
    /// Payloads encoded, frames compressed: what must not grow with the number of receivers.
    pub(crate) encoded: u64,
    pub(crate) compressions: u64,
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").field("compression", &self.compression).finish_non_exhaustive()
    }
}

impl Encoder {
    pub(crate) fn new(compression: Compression) -> Self {
        Self {
            compression,
            deflaters: Default::default(),
            payload: Vec::new(),
            compressed: Vec::new(),
            encoded: 0,
            compressions: 0,
        }
    }

    /// Encodes `message` for each of `classes`: the payload once per encoding, compressed once per window.
    pub(crate) fn prepare(
        &mut self,
        message: &Message<'_>,
        classes: impl Iterator<Item = Class> + Clone,
    ) -> SmallVec<[(Class, Bytes); 2]> {
        let mut frames = SmallVec::new();
        for encoding in [Encoding::Json, Encoding::MessagePack] {
            let mut of_encoding = classes.clone().filter(|class| class.encoding() == encoding).peekable();
            if of_encoding.peek().is_none() {
                continue;
            }
            self.payload.clear();
            match encoding {
                Encoding::Json => json::encode_message(message, &mut self.payload),
                Encoding::MessagePack => msgpack::encode_message(message, &mut self.payload),
            }
            self.encoded += 1;
            let mut plain: Option<Bytes> = None;
            for class in of_encoding {
                if frames.iter().any(|(made_for, _)| *made_for == class) {
                    continue;
                }
                let compressed = class.window_bits().and_then(|bits| self.compressed_frame(encoding, bits));
                let frame = compressed.unwrap_or_else(|| {
                    plain.get_or_insert_with(|| frame(opcode(encoding), false, &self.payload)).clone()
                });
                frames.push((class, frame));
            }
        }
        frames
    }

    /// The payload compressed, unless it is short or does not shrink.
    fn compressed_frame(&mut self, encoding: Encoding, bits: u8) -> Option<Bytes> {
        if self.payload.len() < self.compression.threshold_bytes {
            return None;
        }
        let level = self.compression.level;
        let deflater =
            self.deflaters[usize::from(bits) - 9].get_or_insert_with(|| Deflater::new(level, bits));
        self.compressed.clear();
        deflater.compress(&self.payload, &mut self.compressed);
        self.compressions += 1;
        (self.compressed.len() < self.payload.len()).then(|| frame(opcode(encoding), true, &self.compressed))
    }
}

impl Prepared {
    pub(crate) fn new(
        room: RoomName,
        (epoch, offset): (Epoch, u64),
        frames: SmallVec<[(Class, Bytes); 2]>,
        roles: Vec<Box<str>>,
        exclude: Option<Address>,
        received_us: u64,
        key: u64,
        overtakes: u8,
    ) -> Self {
        Self { room, epoch, offset, roles, exclude, received_us, key, overtakes, frames }
    }
}

/// The opcode that carries an encoding.
pub(crate) fn opcode(encoding: Encoding) -> OpCode {
    match encoding {
        Encoding::Json => OpCode::Text,
        Encoding::MessagePack => OpCode::Binary,
    }
}

fn frame(opcode: OpCode, rsv1: bool, payload: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(ws::header_len(payload.len()) + payload.len());
    ws::encode_frame(&mut bytes, opcode, rsv1, payload);
    bytes.into()
}
