//! Walking through JSON text: the punctuation is ours, every value is serde_json's.

use std::borrow::Cow;
use std::fmt;

use memchr::memchr2;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::Encoding;
use crate::codec::source::{Shape, Source, Value};
use crate::limits::JSON_DEPTH_MAX;
use crate::malformed::Malformed;

/// A place in JSON text.
#[derive(Debug)]
pub(crate) struct JsonSource<'a> {
    text: &'a str,
    at: usize,
}

/// An object or array that the source is inside of.
#[derive(Debug)]
pub(crate) struct Inside {
    end: u8,
    first: bool,
}

impl<'a> JsonSource<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let text = str::from_utf8(bytes).map_err(|error| Malformed::new(error.valid_up_to(), "not UTF-8"))?;
        Ok(Self { text, at: 0 })
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        let blank = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.at += blank;
        rest.get(blank).copied()
    }

    fn expect(&mut self, byte: u8, rule: &'static str) -> Result<(), Malformed> {
        if self.peek() != Some(byte) {
            return Err(Malformed::new(self.at, rule));
        }
        self.at += 1;
        Ok(())
    }

    /// Text without escapes, which nearly all text is, as it stands. Whatever else is there is left to serde_json.
    fn plain_text(&mut self) -> Option<&'a str> {
        let rest = self.text[self.at..].strip_prefix('"')?;
        let end = memchr2(b'"', b'\\', rest.as_bytes())?;
        let text = &rest[..end];
        // Control characters are not allowed in JSON text.
        let plain = rest.as_bytes()[end] == b'"' && text.bytes().all(|byte| byte >= 0x20);
        if plain {
            self.at += end + 2;
        }
        plain.then_some(text)
    }

    fn value<T: Deserialize<'a>>(&mut self) -> Result<T, Malformed> {
        let rest = &self.text[self.at..];
        let mut values = serde_json::Deserializer::from_str(rest).into_iter();
        match values.next() {
            Some(Ok(value)) => {
                self.at += values.byte_offset();
                Ok(value)
            }
            Some(Err(error)) => Err(Malformed::new(self.at + position(rest, &error), rule(&error))),
            None => Err(Malformed::new(self.at, "a value is missing")),
        }
    }
}

/// Where serde_json stopped, in bytes.
fn position(text: &str, error: &serde_json::Error) -> usize {
    let line = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
    (line + error.column().saturating_sub(1)).min(text.len())
}

fn rule(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        Category::Eof => "the text ends inside a value",
        _ => "this is not JSON",
    }
}

impl<'a> Source<'a> for JsonSource<'a> {
    type Inside = Inside;
    const ENCODING: Encoding = Encoding::Json;

    fn shape(&mut self) -> Result<Shape, Malformed> {
        match self.peek() {
            Some(b'{') => Ok(Shape::Object),
            Some(b'[') => Ok(Shape::Array),
            Some(_) => Ok(Shape::Scalar),
            None => Err(Malformed::new(self.at, "a value is missing")),
        }
    }

    fn open(&mut self) -> Result<Inside, Malformed> {
        let end = if self.peek() == Some(b'{') { b'}' } else { b']' };
        self.at += 1;
        Ok(Inside { end, first: true })
    }

    fn next(&mut self, inside: &mut Inside) -> Result<bool, Malformed> {
        let first = std::mem::replace(&mut inside.first, false);
        match self.peek() {
            Some(byte) if byte == inside.end => {
                self.at += 1;
                Ok(false)
            }
            Some(b',') if !first => {
                self.at += 1;
                Ok(true)
            }
            Some(_) if first => Ok(true),
            Some(_) => Err(Malformed::new(self.at, "`,` or the end of the object or array is missing")),
            None => Err(Malformed::new(self.at, "the text ends inside a value")),
        }
    }

    fn key(&mut self) -> Result<Cow<'a, str>, Malformed> {
        if self.peek() != Some(b'"') {
            return Err(Malformed::new(self.at, "a member's name in quotes is missing"));
        }
        let key = match self.plain_text() {
            Some(key) => Cow::Borrowed(key),
            None => self.value::<Text<'a>>()?.0,
        };
        self.expect(b':', "`:` is missing")?;
        Ok(key)
    }

    fn scalar(&mut self) -> Result<Value<'a>, Malformed> {
        if self.shape()? == Shape::Scalar {
            if let Some(text) = self.plain_text() {
                return Ok(Value::Text(Cow::Borrowed(text)));
            }
            let Scalar(value) = self.value()?;
            return Ok(value);
        }
        self.raw().map(|_| Value::Other)
    }

    fn raw(&mut self) -> Result<&'a [u8], Malformed> {
        // Skipping a value does not recurse, however deep it is.
        self.peek();
        let start = self.at;
        let raw: &RawValue = self.value()?;
        let bytes = raw.get().as_bytes();
        match too_deep(bytes) {
            Some(at) => Err(Malformed::new(start + at, Malformed::TOO_DEEP)),
            None => Ok(bytes),
        }
    }

    fn end(&mut self) -> Result<(), Malformed> {
        match self.peek() {
            Some(_) => Err(Malformed::new(self.at, "something follows the end of the message")),
            None => Ok(()),
        }
    }
}

/// The first bracket of a valid value that is one too deep.
fn too_deep(value: &[u8]) -> Option<usize> {
    // What has few brackets in all needs no closer look.
    if brackets(value) <= JSON_DEPTH_MAX {
        return None;
    }
    let (mut depth, mut at) = (0, 0);
    while let Some(byte) = value.get(at) {
        match byte {
            b'"' => at = string_end(value, at + 1),
            b'[' | b'{' => {
                depth += 1;
                if depth > JSON_DEPTH_MAX {
                    return Some(at);
                }
            }
            b']' | b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    None
}

/// How many opening brackets of either kind there are, in strings too. Counted in bytes for as long as a byte
/// can hold it, which is what lets the compiler take many at a time.
fn brackets(value: &[u8]) -> usize {
    let in_part = |part: &[u8]| part.iter().map(|byte| u8::from(byte | 0x20 == b'{')).sum::<u8>();
    value.chunks(255).map(|part| usize::from(in_part(part))).sum()
}

/// Where the quote is that ends the string whose inside begins at `at`.
fn string_end(value: &[u8], mut at: usize) -> usize {
    while let Some(found) = value.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found;
        if value[at] == b'"' {
            return at;
        }
        // The backslash and what it escapes.
        at += 2;
    }
    value.len()
}

/// Text, borrowed where it holds no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_str(ScalarVisitor)? {
            Value::Text(text) => Ok(Self(text)),
            _ => Err(de::Error::custom("not text")),
        }
    }
}

/// Anything but an object or array.
struct Scalar<'a>(Value<'a>);

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor).map(Self)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a number, true, false or null")
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value<'de>, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value<'de>, E> {
        Ok(Value::Unsigned(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value<'de>, E> {
        Ok(u64::try_from(number).map_or(Value::Negative(number), Value::Unsigned))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value<'de>, E> {
        Ok(Value::from_float(number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }
}
