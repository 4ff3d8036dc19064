//! How a dialect's messages are packed into frames, where its clients want something else than JSON texts.

use std::borrow::Cow;
use std::io::{Read, Write};

use fanfare_protocol::Refusal;
use fanfare_protocol::ws::OpCode;
use flate2::Compression;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};

/// What stands before a message in zlib.
const MARK: &[u8] = b"COMPRESSED:";
/// How gzip begins (RFC 1952 §2.3.1).
const GZIP: &[u8] = &[0x1f, 0x8b];
/// Messages up to this many bytes are not compressed.
const THRESHOLD_BYTES: usize = 1_024;
const LEVEL: Compression = Compression::new(6);

/// One way to pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    /// Texts.
    Json,
    /// MessagePack, in gzip above the threshold.
    MessagePack,
    /// JSON, in zlib behind [`MARK`] above the threshold.
    Zlib,
    /// JSON, in gzip above the threshold.
    Gzip,
}

/// By the names that clients ask with.
pub(crate) const PACKINGS: [(&str, Packing); 4] = [
    ("json", Packing::Json),
    ("msgpack", Packing::MessagePack),
    ("zlib", Packing::Zlib),
    ("gzip", Packing::Gzip),
];

impl Packing {
    /// Packs one message in JSON.
    pub(crate) fn pack(self, json: &[u8]) -> (OpCode, Cow<'_, [u8]>) {
        match self {
            Self::Json => (OpCode::Text, Cow::Borrowed(json)),
            Self::MessagePack => {
                let value: serde_json::Value = serde_json::from_slice(json).unwrap_or_default();
                let packed = rmp_serde::to_vec_named(&value).expect("invariant: every JSON value has a form");
                (
                    OpCode::Binary,
                    Cow::Owned(if packed.len() > THRESHOLD_BYTES { gzip(&packed) } else { packed }),
                )
            }
            Self::Gzip if json.len() > THRESHOLD_BYTES => (OpCode::Binary, Cow::Owned(gzip(json))),
            Self::Zlib if json.len() > THRESHOLD_BYTES => {
                let mut encoder = ZlibEncoder::new(MARK.to_vec(), LEVEL);
                (
                    OpCode::Binary,
                    Cow::Owned(finished(encoder.write_all(json).and_then(|()| encoder.finish()))),
                )
            }
            Self::Gzip | Self::Zlib => (OpCode::Binary, Cow::Borrowed(json)),
        }
    }

    /// The JSON of a message from a client: a text, or packed as it is packed for it.
    ///
    /// # Errors
    /// It is not packed so, or it is larger than `bytes_max` when it is unpacked.
    pub(crate) fn unpack(
        self,
        opcode: OpCode,
        bytes: &[u8],
        bytes_max: usize,
    ) -> Result<Cow<'_, [u8]>, Refusal> {
        if opcode == OpCode::Text {
            return Ok(Cow::Borrowed(bytes));
        }
        let malformed = |message: &str| Refusal::invalid(None, None, message);
        let inflated = match bytes.strip_prefix(MARK) {
            Some(compressed) if self == Self::Zlib => {
                Some(inflated(ZlibDecoder::new(compressed), bytes_max)?)
            }
            _ if self != Self::Zlib && bytes.starts_with(GZIP) => {
                Some(inflated(MultiGzDecoder::new(bytes), bytes_max)?)
            }
            _ => None,
        };
        let bytes = inflated.map_or(Cow::Borrowed(bytes), Cow::Owned);
        match self {
            Self::Json => Err(malformed("messages must be texts")),
            Self::Gzip | Self::Zlib => Ok(bytes),
            Self::MessagePack => {
                let value: serde_json::Value = rmp_serde::from_slice(&bytes)
                    .map_err(|_| malformed("the message is not MessagePack of what JSON knows"))?;
                Ok(Cow::Owned(value.to_string().into_bytes()))
            }
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), LEVEL);
    finished(encoder.write_all(bytes).and_then(|()| encoder.finish()))
}

fn finished(outcome: std::io::Result<Vec<u8>>) -> Vec<u8> {
    outcome.expect("invariant: writing to memory does not fail")
}

fn inflated(decoder: impl Read, bytes_max: usize) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    let read = decoder.take(bytes_max as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|_| Refusal::invalid(None, None, "the message cannot be inflated"))?;
    if bytes.len() > bytes_max {
        return Err(Refusal::invalid(None, None, format!("the message is larger than {bytes_max} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_packed_comes_back(text in "[a-z]{0,3000}", which in 0..4_usize) {
            let packing = PACKINGS[which].1;
            let json = serde_json::json!({"type": "x", "text": text, "n": 1.5}).to_string();
            let (opcode, packed) = packing.pack(json.as_bytes());
            let unpacked = packing.unpack(opcode, &packed, 65_536).unwrap();
            let value: serde_json::Value = serde_json::from_slice(&unpacked).unwrap();
            prop_assert_eq!(value, serde_json::from_str::<serde_json::Value>(&json).unwrap());
        }

        #[test]
        fn anything_else_is_refused_and_nothing_grows_beyond_the_bound(bytes: Vec<u8>, which in 1..4_usize) {
            if let Ok(unpacked) = PACKINGS[which].1.unpack(OpCode::Binary, &bytes, 100) {
                prop_assert!(unpacked.len() <= 100.max(bytes.len() * 8 + 100));
            }
        }
    }

    #[test]
    fn a_bomb_is_refused() {
        let bomb = gzip(&vec![b' '; 1 << 20]);
        assert!(Packing::Gzip.unpack(OpCode::Binary, &bomb, 65_536).unwrap_err().message.contains("larger"));
    }
}
