//! The messages that are published: of a wanted size and [shape](fanfare_loadgen::shape), with a place for the [`Stamp`].
//!
//! They differ from each other, as messages of a room do: a compressor that may refer to earlier ones would make nothing
//! of one that is always the same. A few hundred are made before the run, more than any window reaches back.

use std::rc::Rc;

use fanfare_loadgen::shape::MEMBERS_MIN;
use fanfare_protocol::{Encoding, msgpack};
use serde::Serialize;
use serde_json::Value;

use crate::cli::PayloadArgs;
use crate::plan::Plan;
use crate::raw::MARK;
use crate::stamp::{NUMBER_LEN, STAMP_LEN, Stamp, write_hex};

/// Smallest data in bytes: the stamp and the empty padding.
pub(crate) const SIZE_MIN: usize = r#"{"t":"","#.len() + STAMP_LEN + MEMBERS_MIN + "}".len();
/// Different messages; the same one comes again after so many.
const VARIANTS: u32 = 512;

#[derive(Serialize)]
struct PublishCommand<'a> {
    r#type: &'a str,
    id: &'a str,
    room: &'a str,
    event: &'a str,
    /// The data is put in here afterwards: it must be the last.
    data: (),
}

/// Stands where the number goes until a message is made.
const NUMBER_PLACE: &str = "~~~~~~~~";
/// Stands where the stamp goes; never part of the data.
const STAMP_PLACE: &str = "^^^^^^^^^^^^^^^^^^^^^^^^";

/// What the messages of a run carry, as they are sent but for their stamps.
#[derive(Debug)]
pub(crate) struct Payload {
    variants: Rc<[Variant]>,
}

#[derive(Debug)]
struct Variant {
    data: Vec<u8>,
    stamp_at: usize,
}

/// `publish` commands for one room.
#[derive(Debug)]
pub(crate) struct Template {
    before: Vec<u8>,
    /// Absent where the server gives no answer by number.
    number_at: Option<usize>,
    variants: Rc<[Variant]>,
    after: Vec<u8>,
    /// The latest command.
    command: Vec<u8>,
}

impl Payload {
    /// As the command line says; a file is read here, once.
    ///
    /// # Errors
    /// The sentence for the user: a size that is impossible, a file that cannot be read.
    pub(crate) fn new(args: &PayloadArgs, plan: &Plan) -> Result<Self, String> {
        // Other servers number nothing: their messages are known by a mark.
        let mark = if plan.raw.is_some() { MARK } else { "" };
        let data = |members: &str| format!(r#"{{"t":"{mark}{STAMP_PLACE}",{members}}}"#);
        let all = match &args.data {
            Some(path) => {
                let failed = |error: &dyn std::fmt::Display| format!("--data {}: {error}", path.display());
                let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
                let content = serde_json::from_str(&text).unwrap_or(Value::String(text));
                vec![data(&format!(r#""p":{content}"#))]
            }
            None => {
                let least = SIZE_MIN + mark.len();
                let members = args.size.checked_sub(least).map(|free| free + MEMBERS_MIN);
                let members =
                    members.ok_or(format!("--size must be at least {least} bytes, it is {}", args.size))?;
                (0..VARIANTS).map(|number| data(&args.shape.members(number, members))).collect()
            }
        };
        let variants = all.into_iter().map(|json| Variant::new(json, plan.encoding));
        Ok(Self { variants: variants.collect::<Result<_, _>>()? })
    }
}

impl Variant {
    fn new(json: String, encoding: Encoding) -> Result<Self, String> {
        let data = match encoding {
            Encoding::Json => json.into_bytes(),
            Encoding::MessagePack => {
                let mut packed = Vec::new();
                msgpack::from_json(json.as_bytes(), &mut packed);
                packed
            }
        };
        let stamp_at = memchr::memmem::find(&data, STAMP_PLACE.as_bytes());
        Ok(Self { stamp_at: stamp_at.ok_or("the message has no place for its stamp")?, data })
    }
}

impl Template {
    /// Commands for `room`.
    ///
    /// # Errors
    /// The encoder refuses.
    pub(crate) fn new(plan: &Plan, room: &str, payload: &Payload) -> Result<Self, String> {
        let command =
            PublishCommand { r#type: "publish", id: NUMBER_PLACE, room, event: crate::scan::EVENT, data: () };
        let (bytes, place) = match (&plan.raw, plan.encoding) {
            (Some(raw), _) => {
                let publish = raw.table().publish.as_ref().ok_or("--raw: this table has no publish")?;
                (publish.replace("{room}", room).into_bytes(), &b"{data}"[..])
            }
            (None, Encoding::Json) => {
                (serde_json::to_vec(&command).map_err(|error| error.to_string())?, &b"null"[..])
            }
            (None, Encoding::MessagePack) => {
                (rmp_serde::to_vec_named(&command).map_err(|error| error.to_string())?, &[0xc0][..])
            }
        };
        let at = memchr::memmem::rfind(&bytes, place).ok_or("the command has no place for its data")?;
        let before = bytes[..at].to_vec();
        Ok(Self {
            number_at: memchr::memmem::find(&before, NUMBER_PLACE.as_bytes()).filter(|_| plan.raw.is_none()),
            before,
            variants: payload.variants.clone(),
            after: bytes[at + place.len()..].to_vec(),
            command: Vec::new(),
        })
    }

    /// The command with this stamp; its number is also the command's id.
    pub(crate) fn stamped(&mut self, stamp: Stamp) -> &[u8] {
        if let Some(at) = self.number_at {
            write_hex(u64::from(stamp.number), &mut self.before[at..at + NUMBER_LEN]);
        }
        let variant = &self.variants[stamp.number as usize % self.variants.len()];
        self.command.clear();
        for part in [&self.before, &variant.data, &self.after] {
            self.command.extend_from_slice(part);
        }
        if let Some(place) =
            self.command[self.before.len() + variant.stamp_at..].first_chunk_mut::<STAMP_LEN>()
        {
            stamp.write(place);
        }
        &self.command
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::plan;
    use fanfare_loadgen::shape::Shape;

    fn template(encoding: Encoding, shape: Shape, size: usize) -> Result<Template, String> {
        let plan = Plan { encoding, ..plan() };
        let payload = Payload::new(&PayloadArgs { size, shape, data: None }, &plan)?;
        Template::new(&plan, "load:0", &payload)
    }

    #[test]
    fn the_data_has_exactly_the_wanted_size_and_differs() {
        for size in [SIZE_MIN, 41, 128, 149, 1_024, 8_192] {
            let mut template = template(Encoding::Json, Shape::Json, size).unwrap();
            let mut data = |number| {
                let command: Value =
                    serde_json::from_slice(template.stamped(Stamp { intended: 1, number })).unwrap();
                let mut data = command["data"].clone();
                assert_eq!(serde_json::to_vec(&data).unwrap().len(), size);
                data["t"] = Value::Null;
                data
            };
            assert_eq!(data(2), data(2 + VARIANTS));
            assert!(size < 128 || data(2) != data(3));
        }
        assert!(template(Encoding::Json, Shape::Json, SIZE_MIN - 1).unwrap_err().contains("39 bytes"));
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
