//! The data that is published: of a wanted size and shape, with a place for the [`Stamp`].
//!
//! | shape | what it is like | compresses to (1 KiB, about) |
//! | --- | --- | --- |
//! | text | one string of English-like words | half |
//! | json | a list of records, as an application's schedule | a third |
//! | random | one string of random base64 characters | three quarters |

use fanfare_protocol::Encoding;
use serde::Serialize;

use crate::stamp::{NUMBER_LEN, STAMP_LEN, Stamp, write_hex};

/// What the data looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Shape {
    /// One string of words.
    #[default]
    Text,
    /// Records with repeating keys.
    Json,
    /// One string that hardly compresses.
    Random,
}

/// Smallest data in bytes: the stamp and the empty padding.
pub(crate) const SIZE_MIN: usize = 39;

#[derive(Serialize)]
struct Data<'a> {
    t: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    items: Vec<Item>,
    p: &'a str,
}

#[derive(Serialize)]
struct Item {
    id: u32,
    room: &'static str,
    status: &'static str,
    starts_at: String,
    minutes: u32,
}

#[derive(Serialize)]
struct PublishCommand<'a> {
    r#type: &'a str,
    id: &'a str,
    room: &'a str,
    event: &'a str,
    data: Data<'a>,
}

/// Stands where the number goes until a message is made; never part of the padding.
const NUMBER_PLACE: &str = "~~~~~~~~";
/// Stands where the stamp goes.
const STAMP_PLACE: &str = "^^^^^^^^^^^^^^^^^^^^^^^^";

/// One finished `publish` command for one room, lacking only number and stamp.
#[derive(Debug)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    number_at: usize,
    stamp_at: usize,
}

impl Template {
    /// A command for `room` whose data has `size` bytes as JSON (at least [`SIZE_MIN`]).
    ///
    /// # Errors
    /// The sentence for the user when a size is impossible or the encoder refuses.
    pub(crate) fn new(encoding: Encoding, room: &str, shape: Shape, size: usize) -> Result<Self, String> {
        let items = if shape == Shape::Json { items(size) } else { Vec::new() };
        let mut data = Data { t: STAMP_PLACE, items, p: "" };
        let bare = json_len(&data)?;
        let Some(padding) = size.checked_sub(bare) else {
            return Err(format!("--size must be at least {SIZE_MIN} bytes, it is {size}"));
        };
        let padding = if shape == Shape::Random { random(padding) } else { words(padding) };
        data.p = &padding;
        let command =
            PublishCommand { r#type: "publish", id: NUMBER_PLACE, room, event: crate::scan::EVENT, data };
        let bytes = match encoding {
            Encoding::Json => serde_json::to_vec(&command).map_err(|error| error.to_string())?,
            Encoding::MessagePack => rmp_serde::to_vec_named(&command).map_err(|error| error.to_string())?,
        };
        let find = |place: &str| memchr::memmem::find(&bytes, place.as_bytes());
        match (find(NUMBER_PLACE), find(STAMP_PLACE)) {
            (Some(number_at), Some(stamp_at)) => Ok(Self { bytes, number_at, stamp_at }),
            _ => Err("the message has no place for its stamp".into()),
        }
    }

    /// The command with this stamp; its number is also the command's id.
    pub(crate) fn stamped(&mut self, stamp: Stamp) -> &[u8] {
        write_hex(u64::from(stamp.number), &mut self.bytes[self.number_at..self.number_at + NUMBER_LEN]);
        if let Some(place) = self.bytes[self.stamp_at..].first_chunk_mut::<STAMP_LEN>() {
            stamp.write(place);
        }
        &self.bytes
    }
}

fn json_len(data: &Data<'_>) -> Result<usize, String> {
    serde_json::to_vec(data).map(|bytes| bytes.len()).map_err(|error| error.to_string())
}

/// As many records as fit into `size` bytes of data.
fn items(size: usize) -> Vec<Item> {
    const STATUS: [&str; 5] = ["scheduled", "in_progress", "delayed", "completed", "cancelled"];
    const ROOM: [&str; 4] = ["theatre-1", "theatre-2", "imaging-3", "recovery-4"];
    let mut random = Random(0x5eed_1234_abcd_ef01);
    let mut items = Vec::new();
    let mut free = size.saturating_sub(SIZE_MIN + r#","items":[]"#.len());
    loop {
        let item = Item {
            id: 10_000 + random.below(90_000),
            room: ROOM[random.below(4) as usize],
            status: STATUS[random.below(5) as usize],
            starts_at: format!(
                "2026-11-{:02}T{:02}:{:02}:00Z",
                1 + random.below(30),
                random.below(24),
                random.below(60)
            ),
            minutes: 5 * (1 + random.below(48)),
        };
        let len = serde_json::to_vec(&item).map_or(usize::MAX, |bytes| bytes.len() + 1);
        if len > free {
            return items;
        }
        free -= len;
        items.push(item);
    }
}

fn words(len: usize) -> String {
    const WORDS: [&str; 24] = [
        "the",
        "patient",
        "is",
        "ready",
        "for",
        "room",
        "three",
        "and",
        "team",
        "will",
        "meet",
        "at",
        "noon",
        "please",
        "confirm",
        "that",
        "all",
        "instruments",
        "were",
        "counted",
        "before",
        "closing",
        "thank",
        "you",
    ];
    let mut random = Random(0x5eed_0000_0000_0001);
    let mut text = String::with_capacity(len + 16);
    while text.len() < len {
        text.push_str(WORDS[random.below(24) as usize]);
        text.push(' ');
    }
    text.truncate(len);
    text
}

fn random(len: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut random = Random(0x5eed_0000_0000_0002);
    (0..len).map(|_| char::from(ALPHABET[random.below(64) as usize])).collect()
}

/// Marsaglia's xorshift: the same data in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 32) % u64::from(bound)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn data_of(command: &[u8]) -> Value {
        serde_json::from_slice::<Value>(command).unwrap()["data"].clone()
    }

    #[test]
    fn the_data_has_exactly_the_wanted_size_in_every_shape() {
        for shape in [Shape::Text, Shape::Json, Shape::Random] {
            for size in [SIZE_MIN, 41, 128, 149, 1_024, 8_192] {
                let mut template = Template::new(Encoding::Json, "load:0", shape, size).unwrap();
                let command = template.stamped(Stamp { intended: 1, number: 2 });
                let data = serde_json::to_vec(&data_of(command)).unwrap();
                assert_eq!(data.len(), size, "{shape:?}");
            }
            assert!(Template::new(Encoding::Json, "load:0", shape, SIZE_MIN - 1).is_err());
        }
    }

    #[test]
    fn a_stamp_stands_in_id_and_data_of_both_encodings() {
        let stamp = Stamp { intended: 0xabc, number: 7 };
        for encoding in [Encoding::Json, Encoding::MessagePack] {
            let mut template = Template::new(encoding, "load:0", Shape::Json, 1_024).unwrap();
            template.stamped(Stamp { intended: 1, number: 1 });
            let bytes = template.stamped(stamp);
            let command: Value = match encoding {
                Encoding::Json => serde_json::from_slice(bytes).unwrap(),
                Encoding::MessagePack => rmp_serde::from_slice(bytes).unwrap(),
            };
            assert_eq!(command["id"], "00000007");
            assert_eq!(Stamp::read(command["data"]["t"].as_str().unwrap().as_bytes()), Some(stamp));
            assert_eq!(command["event"], "load");
            assert!(command["data"]["items"].as_array().unwrap().len() >= 5);
        }
    }
}
