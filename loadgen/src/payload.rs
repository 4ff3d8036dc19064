//! The data that is published: of a wanted size and shape, with a place for the [`Stamp`].
//!
//! | shape | what it is like | compresses to (1 KiB, about) |
//! | --- | --- | --- |
//! | text | one string of English-like words | half |
//! | json | a list of records, as an application's schedule | a third |
//! | random | one string of random base64 characters | three quarters |

use fanfare_protocol::Encoding;
use serde::Serialize;
use serde_json::Value;

use crate::cli::PayloadArgs;
use crate::plan::Plan;
use crate::random::Random;
use crate::raw::MARK;
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
    t: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    items: Vec<Item>,
    p: &'a Value,
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
    data: &'a Data<'a>,
}

/// Stands where the number goes until a message is made; never part of the padding.
const NUMBER_PLACE: &str = "~~~~~~~~";
/// Stands where the stamp goes.
const STAMP_PLACE: &str = "^^^^^^^^^^^^^^^^^^^^^^^^";

/// One finished `publish` command for one room, lacking only number and stamp.
#[derive(Debug)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    /// Absent where the server gives no answer by number.
    number_at: Option<usize>,
    stamp_at: usize,
}

/// What all messages of a run carry beside their stamps.
#[derive(Debug)]
pub(crate) struct Payload {
    shape: Shape,
    /// Bytes of the data as JSON; none: whatever the file makes of it.
    size: Option<usize>,
    /// From the file.
    content: Option<Value>,
}

impl Payload {
    /// As the command line says; a file is read here, once.
    ///
    /// # Errors
    /// The file cannot be read, or is neither JSON nor text.
    pub(crate) fn new(args: &PayloadArgs) -> Result<Self, String> {
        let Some(path) = &args.data else {
            return Ok(Self { shape: args.shape, size: Some(args.size), content: None });
        };
        let failed = |error: &dyn std::fmt::Display| format!("--data {}: {error}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
        let content = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Self { shape: Shape::Text, size: None, content: Some(content) })
    }

    /// The data as its serialised form, lacking only the stamp. `mark` stands before that.
    fn data<T>(&self, mark: &str, serialise: impl Fn(&Data<'_>) -> Result<T, String>) -> Result<T, String> {
        let t = format!("{mark}{STAMP_PLACE}");
        let (Some(size), None) = (self.size, &self.content) else {
            let content = self.content.as_ref().unwrap_or(&Value::Null);
            return serialise(&Data { t, items: Vec::new(), p: content });
        };
        let items =
            if self.shape == Shape::Json { items(size.saturating_sub(mark.len())) } else { Vec::new() };
        let empty = Value::String(String::new());
        let mut data = Data { t, items, p: &empty };
        let Some(padding) = size.checked_sub(json(&data)?.len()) else {
            let least = SIZE_MIN + mark.len();
            return Err(format!("--size must be at least {least} bytes, it is {size}"));
        };
        let padding =
            Value::String(if self.shape == Shape::Random { random(padding) } else { words(padding) });
        data.p = &padding;
        serialise(&data)
    }
}

impl Template {
    /// The `publish` command for `room`.
    ///
    /// # Errors
    /// The sentence for the user when a size is impossible or the encoder refuses.
    pub(crate) fn new(plan: &Plan, room: &str, payload: &Payload) -> Result<Self, String> {
        if let Some(raw) = &plan.raw {
            let data = payload.data(MARK, json)?;
            let data = String::from_utf8(data).map_err(|error| error.to_string())?;
            let text = raw.table().publish.replace("{room}", room).replace("{data}", &data);
            return Self::from_bytes(text.into_bytes(), "");
        }
        let bytes = payload.data("", |data| {
            let command =
                PublishCommand { r#type: "publish", id: NUMBER_PLACE, room, event: crate::scan::EVENT, data };
            match plan.encoding {
                Encoding::Json => serde_json::to_vec(&command).map_err(|error| error.to_string()),
                Encoding::MessagePack => rmp_serde::to_vec_named(&command).map_err(|error| error.to_string()),
            }
        })?;
        Self::from_bytes(bytes, NUMBER_PLACE)
    }

    /// `number_place`: what stands where the number goes; empty where there is none.
    fn from_bytes(bytes: Vec<u8>, number_place: &str) -> Result<Self, String> {
        let find = |place: &str| memchr::memmem::find(&bytes, place.as_bytes());
        let number_at = if number_place.is_empty() { None } else { find(number_place) };
        match find(STAMP_PLACE) {
            Some(stamp_at) => Ok(Self { bytes, number_at, stamp_at }),
            None => Err("the message has no place for its stamp".into()),
        }
    }

    /// The command with this stamp; its number is also the command's id.
    pub(crate) fn stamped(&mut self, stamp: Stamp) -> &[u8] {
        if let Some(at) = self.number_at {
            write_hex(u64::from(stamp.number), &mut self.bytes[at..at + NUMBER_LEN]);
        }
        if let Some(place) = self.bytes[self.stamp_at..].first_chunk_mut::<STAMP_LEN>() {
            stamp.write(place);
        }
        &self.bytes
    }
}

fn json(data: &Data<'_>) -> Result<Vec<u8>, String> {
    serde_json::to_vec(data).map_err(|error| error.to_string())
}

/// As many records as fit into `size` bytes of data.
fn items(size: usize) -> Vec<Item> {
    const STATUS: [&str; 5] = ["scheduled", "in_progress", "delayed", "completed", "cancelled"];
    const ROOM: [&str; 4] = ["theatre-1", "theatre-2", "imaging-3", "recovery-4"];
    let mut random = Random::new(0x5eed_1234_abcd_ef01);
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
    let mut random = Random::new(0x5eed_0000_0000_0001);
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
    let mut random = Random::new(0x5eed_0000_0000_0002);
    (0..len).map(|_| char::from(ALPHABET[random.below(64) as usize])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::plan;

    fn template(encoding: Encoding, shape: Shape, size: usize) -> Result<Template, String> {
        let plan = Plan { encoding, ..plan() };
        Template::new(&plan, "load:0", &Payload { shape, size: Some(size), content: None })
    }

    fn data_of(command: &[u8]) -> Value {
        serde_json::from_slice::<Value>(command).unwrap()["data"].clone()
    }

    #[test]
    fn the_data_has_exactly_the_wanted_size_in_every_shape() {
        for shape in [Shape::Text, Shape::Json, Shape::Random] {
            for size in [SIZE_MIN, 41, 128, 149, 1_024, 8_192] {
                let mut template = template(Encoding::Json, shape, size).unwrap();
                let command = template.stamped(Stamp { intended: 1, number: 2 });
                let data = serde_json::to_vec(&data_of(command)).unwrap();
                assert_eq!(data.len(), size, "{shape:?}");
            }
            assert!(template(Encoding::Json, shape, SIZE_MIN - 1).is_err());
        }
    }

    #[test]
    fn a_stamp_stands_in_id_and_data_of_both_encodings() {
        let stamp = Stamp { intended: 0xabc, number: 7 };
        for encoding in [Encoding::Json, Encoding::MessagePack] {
            let mut template = template(encoding, Shape::Json, 1_024).unwrap();
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
