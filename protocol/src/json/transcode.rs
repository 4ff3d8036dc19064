//! A value published in MessagePack, for members who speak JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::object::quote;
use crate::codec::source::Source;
use crate::malformed::Malformed;
use crate::msgpack::source::{Head, MsgpackSource};

/// Appends a MessagePack value, checked when it was published, as JSON.
///
/// What JSON has no form for: `bin` becomes base64 text; an extension becomes `{"ext":type,"data":base64}`;
/// NaN and infinities become null; a map's key that is not text becomes the text of its JSON (an array or map
/// is never a key, see [`msgpack`](crate::msgpack)). Bytes that would not have passed the check become null.
pub fn from_msgpack(value: &[u8], out: &mut Vec<u8>) {
    transcode::<false>(value, out);
}

/// The same, but a float that is not finite, for which JSON has no word, is written as a number that no reader takes: it must not be
/// mistaken for null.
pub fn from_msgpack_exactly(value: &[u8], out: &mut Vec<u8>) {
    transcode::<true>(value, out);
}

fn transcode<const EXACT: bool>(value: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let mut source = MsgpackSource::new(value);
    if write::<EXACT>(&mut source, out, 0).and_then(|()| source.end()).is_err() {
        out.truncate(start);
        out.extend_from_slice(b"null");
    }
}

/// Writes the next value; recursion ends where the depth does.
fn write<const EXACT: bool>(
    source: &mut MsgpackSource<'_>,
    out: &mut Vec<u8>,
    depth: usize,
) -> Result<(), Malformed> {
    source.check_depth(depth)?;
    match source.head()? {
        Head::Nil => out.extend_from_slice(b"null"),
        Head::Bool(flag) => out.extend_from_slice(if flag { b"true" } else { b"false" }),
        Head::Unsigned(number) => out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
        Head::Negative(number) => out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
        Head::F32(number) if EXACT && !number.is_finite() => out.extend_from_slice(b"1e999"),
        Head::F64(number) if EXACT && !number.is_finite() => out.extend_from_slice(b"1e999"),
        Head::F32(number) => json(&number, out),
        Head::F64(number) => json(&number, out),
        Head::Text(text) => quote(text, out),
        Head::Bin(bytes) => base64(bytes, out),
        Head::Ext(kind, bytes) => {
            out.extend_from_slice(b"{\"ext\":");
            out.extend_from_slice(itoa::Buffer::new().format(kind).as_bytes());
            out.extend_from_slice(b",\"data\":");
            base64(bytes, out);
            out.push(b'}');
        }
        Head::Array(len) => {
            out.push(b'[');
            for index in 0..len {
                separate(index, out);
                write::<EXACT>(source, out, depth + 1)?;
            }
            out.push(b']');
        }
        Head::Map(len) => {
            out.push(b'{');
            for index in 0..len {
                separate(index, out);
                key::<EXACT>(source, out, depth + 1)?;
                out.push(b':');
                write::<EXACT>(source, out, depth + 1)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn separate(index: u32, out: &mut Vec<u8>) {
    if index > 0 {
        out.push(b',');
    }
}

fn key<const EXACT: bool>(
    source: &mut MsgpackSource<'_>,
    out: &mut Vec<u8>,
    depth: usize,
) -> Result<(), Malformed> {
    source.check_key()?;
    let start = out.len();
    write::<EXACT>(source, out, depth)?;
    if out[start] != b'"' {
        let text = String::from_utf8_lossy(&out[start..]).into_owned();
        out.truncate(start);
        quote(&text, out);
    }
    Ok(())
}

/// serde_json writes floats in their shortest form, and null where they are not finite.
fn json<T: serde::Serialize>(number: &T, out: &mut Vec<u8>) {
    serde_json::to_writer(out, number)
        .expect("invariant: a Vec takes every byte and a number is always JSON");
}

fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
    out.push(b'"');
}
