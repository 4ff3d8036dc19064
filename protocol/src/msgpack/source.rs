//! Walking through MessagePack: rmp knows the markers, the walk is bounded by the bytes that are there.

use std::borrow::Cow;

use rmp::Marker;

use crate::Encoding;
use crate::codec::source::{Shape, Source, Value};
use crate::limits::JSON_DEPTH_MAX;
use crate::malformed::Malformed;

/// A place in MessagePack bytes.
#[derive(Debug)]
pub(crate) struct MsgpackSource<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// A value without what it contains.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Head<'a> {
    Nil,
    Bool(bool),
    Unsigned(u64),
    /// Below zero.
    Negative(i64),
    F32(f32),
    F64(f64),
    Text(&'a str),
    Bin(&'a [u8]),
    /// An extension's type and bytes.
    Ext(i8, &'a [u8]),
    /// So many elements follow.
    Array(u32),
    /// So many keys and values follow.
    Map(u32),
}

const ENDS: &str = "the bytes end inside a value";
const KEY_CONTAINER: &str = "a map's key must not be an array or a map";

impl<'a> MsgpackSource<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes were read.
    pub(crate) const fn position(&self) -> usize {
        self.at
    }

    /// Refuses a container inside `depth` others.
    pub(crate) fn check_depth(&self, depth: usize) -> Result<(), Malformed> {
        let container = matches!(self.marker()?, Shape::Array | Shape::Object);
        if container && depth >= JSON_DEPTH_MAX {
            return Err(Malformed::new(self.at, Malformed::TOO_DEEP));
        }
        Ok(())
    }

    /// Refuses an array or map where a map's key must stand.
    ///
    /// In JSON such a key is the text of its JSON, and each level of keys inside keys would escape the text of all
    /// others once more: a few bytes would become gigabytes.
    pub(crate) fn check_key(&self) -> Result<(), Malformed> {
        if self.marker()? != Shape::Scalar {
            return Err(Malformed::new(self.at, KEY_CONTAINER));
        }
        Ok(())
    }

    fn marker(&self) -> Result<Shape, Malformed> {
        let Some(byte) = self.bytes.get(self.at) else { return Err(Malformed::new(self.at, ENDS)) };
        Ok(match Marker::from_u8(*byte) {
            Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => Shape::Object,
            Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => Shape::Array,
            _ => Shape::Scalar,
        })
    }

    /// Reads the next value up to what it contains.
    pub(crate) fn head(&mut self) -> Result<Head<'a>, Malformed> {
        let start = self.at;
        let [byte] = self.fixed()?;
        Ok(match Marker::from_u8(byte) {
            Marker::Null => Head::Nil,
            Marker::True => Head::Bool(true),
            Marker::False => Head::Bool(false),
            Marker::FixPos(number) => Head::Unsigned(number.into()),
            Marker::U8 => Head::Unsigned(u8::from_be_bytes(self.fixed()?).into()),
            Marker::U16 => Head::Unsigned(u16::from_be_bytes(self.fixed()?).into()),
            Marker::U32 => Head::Unsigned(u32::from_be_bytes(self.fixed()?).into()),
            Marker::U64 => Head::Unsigned(u64::from_be_bytes(self.fixed()?)),
            Marker::FixNeg(number) => signed(number.into()),
            Marker::I8 => signed(i8::from_be_bytes(self.fixed()?).into()),
            Marker::I16 => signed(i16::from_be_bytes(self.fixed()?).into()),
            Marker::I32 => signed(i32::from_be_bytes(self.fixed()?).into()),
            Marker::I64 => signed(i64::from_be_bytes(self.fixed()?)),
            Marker::F32 => Head::F32(f32::from_be_bytes(self.fixed()?)),
            Marker::F64 => Head::F64(f64::from_be_bytes(self.fixed()?)),
            Marker::FixStr(len) => self.text(len.into())?,
            Marker::Str8 => self.len8().and_then(|len| self.text(len))?,
            Marker::Str16 => self.len16().and_then(|len| self.text(len))?,
            Marker::Str32 => self.len32().and_then(|len| self.text(len))?,
            Marker::Bin8 => self.len8().and_then(|len| self.take(len)).map(Head::Bin)?,
            Marker::Bin16 => self.len16().and_then(|len| self.take(len)).map(Head::Bin)?,
            Marker::Bin32 => self.len32().and_then(|len| self.take(len)).map(Head::Bin)?,
            Marker::FixExt1 => self.ext(1)?,
            Marker::FixExt2 => self.ext(2)?,
            Marker::FixExt4 => self.ext(4)?,
            Marker::FixExt8 => self.ext(8)?,
            Marker::FixExt16 => self.ext(16)?,
            Marker::Ext8 => self.len8().and_then(|len| self.ext(len))?,
            Marker::Ext16 => self.len16().and_then(|len| self.ext(len))?,
            Marker::Ext32 => self.len32().and_then(|len| self.ext(len))?,
            Marker::FixArray(len) => Head::Array(len.into()),
            Marker::Array16 => Head::Array(self.len16()? as u32),
            Marker::Array32 => Head::Array(self.len32()? as u32),
            Marker::FixMap(len) => Head::Map(len.into()),
            Marker::Map16 => Head::Map(self.len16()? as u32),
            Marker::Map32 => Head::Map(self.len32()? as u32),
            Marker::Reserved => return Err(Malformed::new(start, "0xc1 is no MessagePack")),
        })
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        match self.bytes[self.at..].first_chunk() {
            Some(bytes) => {
                self.at += N;
                Ok(*bytes)
            }
            None => Err(Malformed::new(self.bytes.len(), ENDS)),
        }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        match self.bytes[self.at..].get(..len) {
            Some(bytes) => {
                self.at += len;
                Ok(bytes)
            }
            None => Err(Malformed::new(self.bytes.len(), ENDS)),
        }
    }

    fn len8(&mut self) -> Result<usize, Malformed> {
        Ok(u8::from_be_bytes(self.fixed()?).into())
    }

    fn len16(&mut self) -> Result<usize, Malformed> {
        Ok(u16::from_be_bytes(self.fixed()?).into())
    }

    fn len32(&mut self) -> Result<usize, Malformed> {
        Ok(u32::from_be_bytes(self.fixed()?) as usize)
    }

    fn text(&mut self, len: usize) -> Result<Head<'a>, Malformed> {
        let start = self.at;
        let bytes = self.take(len)?;
        let text = str::from_utf8(bytes)
            .map_err(|error| Malformed::new(start + error.valid_up_to(), "not UTF-8"))?;
        Ok(Head::Text(text))
    }

    fn ext(&mut self, len: usize) -> Result<Head<'a>, Malformed> {
        let kind = i8::from_be_bytes(self.fixed()?);
        Ok(Head::Ext(kind, self.take(len)?))
    }

    /// Steps over one value and all it contains, without recursion.
    fn skip(&mut self) -> Result<(), Malformed> {
        // What is still to come of each container around here.
        let mut left = [0_u64; JSON_DEPTH_MAX];
        // Which of them are maps, one bit each. A key is next when a map has an even number to come.
        let mut maps = 0_u64;
        const { assert!(JSON_DEPTH_MAX <= u64::BITS as usize) };
        let mut depth = 0;
        loop {
            if self.marker()? != Shape::Scalar {
                self.check_depth(depth)?;
                if depth > 0 && maps >> (depth - 1) & 1 == 1 && left[depth - 1].is_multiple_of(2) {
                    self.check_key()?;
                }
            }
            let (inside, map) = match self.head()? {
                Head::Array(len) => (u64::from(len), 0),
                Head::Map(len) => (2 * u64::from(len), 1),
                _ => (0, 0),
            };
            if inside > 0 {
                left[depth] = inside;
                maps = maps & !(1 << depth) | map << depth;
                depth += 1;
                continue;
            }
            loop {
                let Some(outer) = depth.checked_sub(1) else { return Ok(()) };
                left[outer] -= 1;
                if left[outer] > 0 {
                    break;
                }
                depth = outer;
            }
        }
    }
}

fn signed<'a>(number: i64) -> Head<'a> {
    u64::try_from(number).map_or(Head::Negative(number), Head::Unsigned)
}

impl<'a> Source<'a> for MsgpackSource<'a> {
    /// Members or elements that are still to come.
    type Inside = u32;
    const ENCODING: Encoding = Encoding::MessagePack;

    fn shape(&mut self) -> Result<Shape, Malformed> {
        self.marker()
    }

    fn open(&mut self) -> Result<u32, Malformed> {
        match self.head()? {
            Head::Array(len) | Head::Map(len) => Ok(len),
            _ => Ok(0),
        }
    }

    fn next(&mut self, inside: &mut u32) -> Result<bool, Malformed> {
        let more = *inside > 0;
        *inside = inside.saturating_sub(1);
        Ok(more)
    }

    fn key(&mut self) -> Result<Cow<'a, str>, Malformed> {
        let start = self.at;
        match self.head()? {
            Head::Text(text) => Ok(Cow::Borrowed(text)),
            _ => Err(Malformed::new(start, "a member's name must be text")),
        }
    }

    fn scalar(&mut self) -> Result<Value<'a>, Malformed> {
        if self.marker()? != Shape::Scalar {
            return self.skip().map(|()| Value::Other);
        }
        Ok(match self.head()? {
            Head::Nil => Value::Null,
            Head::Bool(flag) => Value::Bool(flag),
            Head::Unsigned(number) => Value::Unsigned(number),
            Head::Negative(number) => Value::Negative(number),
            Head::F32(number) => Value::from_float(number.into()),
            Head::F64(number) => Value::from_float(number),
            Head::Text(text) => Value::Text(Cow::Borrowed(text)),
            Head::Bin(_) | Head::Ext(..) | Head::Array(_) | Head::Map(_) => Value::Other,
        })
    }

    fn raw(&mut self) -> Result<&'a [u8], Malformed> {
        let start = self.at;
        self.skip()?;
        Ok(&self.bytes[start..self.at])
    }

    fn end(&mut self) -> Result<(), Malformed> {
        if self.at < self.bytes.len() {
            return Err(Malformed::new(self.at, "something follows the end of the message"));
        }
        Ok(())
    }
}
