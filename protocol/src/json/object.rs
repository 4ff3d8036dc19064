//! Writing one JSON object into a buffer.

use super::transcode::from_msgpack;
use crate::codec::object::Object;
use crate::timestamp::rfc3339;
use crate::wire::Body;

/// A JSON object that is being written.
#[derive(Debug)]
pub(crate) struct JsonObject<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

impl<'o> JsonObject<'o> {
    pub(crate) fn new(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }

    /// Names are the protocol's own and need no escapes.
    // They are constants, and an envelope costs a tenth less where they are copied as such: so what has a name is always inlined.
    #[inline(always)]
    fn name(&mut self, name: &'static str) {
        if !std::mem::replace(&mut self.first, false) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }
}

/// Appends text in quotes, escaped where JSON asks for it.
pub(super) fn quote(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("invariant: a Vec takes every byte and text is always JSON");
}

impl Object for JsonObject<'_> {
    #[inline(always)]
    fn text(&mut self, name: &'static str, text: &str) {
        self.name(name);
        quote(text, self.out);
    }

    #[inline(always)]
    fn unsigned(&mut self, name: &'static str, number: u64) {
        self.name(name);
        self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    fn signed(&mut self, name: &'static str, number: i64) {
        self.name(name);
        self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    fn flag(&mut self, name: &'static str, flag: bool) {
        self.name(name);
        self.out.extend_from_slice(if flag { b"true" } else { b"false" });
    }

    fn body(&mut self, name: &'static str, body: &Body) {
        self.name(name);
        match body {
            Body::Json(bytes) => self.out.extend_from_slice(bytes),
            Body::MessagePack(bytes) => from_msgpack(bytes, self.out),
        }
    }

    fn objects(&mut self, name: &'static str, objects: &[&[u8]]) {
        self.name(name);
        self.out.push(b'[');
        for (index, object) in objects.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.out.extend_from_slice(object);
        }
        self.out.push(b']');
    }

    fn object(&mut self, name: &'static str, member: Option<(&'static str, &str)>) {
        self.name(name);
        let mut object = JsonObject::new(self.out);
        if let Some((name, text)) = member {
            object.text(name, text);
        }
        object.end();
    }

    fn counts(&mut self, name: &'static str, member: &'static str, number: u64) {
        self.name(name);
        let mut object = JsonObject::new(self.out);
        object.unsigned(member, number);
        object.end();
    }

    fn milliseconds(&mut self, name: &'static str, us: u64) {
        self.name(name);
        serde_json::to_writer(&mut *self.out, &(us as f64 / 1_000.0)).expect("invariant: it is a number");
    }

    #[inline(always)]
    fn time(&mut self, name: &'static str, unix_ms: u64) {
        self.name(name);
        self.out.push(b'"');
        self.out.extend_from_slice(&rfc3339(unix_ms));
        self.out.push(b'"');
    }

    fn end(self) {
        self.out.push(b'}');
    }
}
