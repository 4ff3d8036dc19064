//! Writing one MessagePack map into a buffer.

use rmp::encode::{write_array_len, write_bool, write_f64, write_sint, write_str, write_uint};

use super::transcode::from_json;
use crate::codec::object::Object;
use crate::timestamp::rfc3339;
use crate::wire::Body;

/// The map's marker: `fixmap`, whose low half counts up to 15 members.
const FIXMAP: u8 = 0x80;
/// The marker of a short text: `fixstr`, whose low five bits are its length.
const FIXSTR: u8 = 0xA0;

/// A map that is being written. Its count is in its first byte, raised with each member.
#[derive(Debug)]
pub(crate) struct MsgpackObject<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
}

/// Writing into a Vec does not fail.
fn written<T, E: std::fmt::Debug>(outcome: Result<T, E>) {
    outcome.expect("invariant: a Vec takes every byte");
}

impl<'o> MsgpackObject<'o> {
    pub(crate) fn new(out: &'o mut Vec<u8>) -> Self {
        let start = out.len();
        out.push(FIXMAP);
        Self { out, start }
    }

    /// Names are the protocol's own, and short.
    // They are constants, and an envelope costs a quarter less where they are copied as such: so what has a name is always inlined.
    #[inline(always)]
    fn name(&mut self, name: &'static str) {
        assert!(self.out[self.start] < FIXMAP | 15, "no object of the protocol has more than 15 members");
        assert!(name.len() < 32, "no name of the protocol has more than 31 characters");
        self.out[self.start] += 1;
        self.out.push(FIXSTR | name.len() as u8);
        self.out.extend_from_slice(name.as_bytes());
    }
}

impl Object for MsgpackObject<'_> {
    #[inline(always)]
    fn text(&mut self, name: &'static str, text: &str) {
        self.name(name);
        written(write_str(self.out, text));
    }

    #[inline(always)]
    fn unsigned(&mut self, name: &'static str, number: u64) {
        self.name(name);
        written(write_uint(self.out, number));
    }

    fn signed(&mut self, name: &'static str, number: i64) {
        self.name(name);
        written(write_sint(self.out, number));
    }

    fn flag(&mut self, name: &'static str, flag: bool) {
        self.name(name);
        written(write_bool(self.out, flag));
    }

    fn body(&mut self, name: &'static str, body: &Body) {
        self.name(name);
        match body {
            Body::MessagePack(bytes) => self.out.extend_from_slice(bytes),
            Body::Json(bytes) => from_json(bytes, self.out),
        }
    }

    fn objects(&mut self, name: &'static str, objects: &[&[u8]]) {
        self.name(name);
        written(write_array_len(self.out, objects.len() as u32));
        objects.iter().for_each(|object| self.out.extend_from_slice(object));
    }

    fn object(&mut self, name: &'static str, member: Option<(&'static str, &str)>) {
        self.name(name);
        let mut object = MsgpackObject::new(self.out);
        if let Some((name, text)) = member {
            object.text(name, text);
        }
        object.end();
    }

    fn counts(&mut self, name: &'static str, member: &'static str, number: u64) {
        self.name(name);
        let mut object = MsgpackObject::new(self.out);
        object.unsigned(member, number);
        object.end();
    }

    fn milliseconds(&mut self, name: &'static str, us: u64) {
        self.name(name);
        written(write_f64(self.out, us as f64 / 1_000.0));
    }

    #[inline(always)]
    fn time(&mut self, name: &'static str, unix_ms: u64) {
        let text = rfc3339(unix_ms);
        self.text(name, str::from_utf8(&text).expect("invariant: the digits are ASCII"));
    }

    fn end(self) {}
}
