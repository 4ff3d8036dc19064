//! Characters that can hide or forge what people read: found in a published value, and taken out of it.
//!
//! These are the controls of ASCII and Latin-1 (U+0000 to U+001F but tab and newline, U+007F to U+009F) and the marks that turn the
//! direction of text around (U+202A to U+202E, U+2066 to U+2069). They count inside texts, names of members included; binary
//! and extensions of MessagePack are no text.

use std::ops::Range;

use bytes::Bytes;
use rmp::encode::write_str;

use crate::msgpack::source::{Head, MsgpackSource};
use crate::wire::Body;

/// Whether a character is one of those above.
pub const fn is_unwanted(c: char) -> bool {
    match c {
        '\t' | '\n' => false,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' => true,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        _ => false,
    }
}

/// Whether a checked value holds none of them. One pass over its bytes where it does not look like it.
pub fn is_clean(body: &Body) -> bool {
    match body {
        Body::Json(json) => !has_suspects(json) || unwanted(json, 0).is_none(),
        Body::MessagePack(value) => texts_are_clean(value),
    }
}

/// A checked value without them; nothing where it holds none. What is left stays byte for byte, but for the lengths of
/// MessagePack.
pub fn strip(body: &Body) -> Option<Body> {
    if is_clean(body) {
        return None;
    }
    Some(match body {
        Body::Json(json) => Body::Json(strip_json(json)),
        Body::MessagePack(value) => Body::MessagePack(strip_msgpack(value)),
    })
}

/// Whether an unwanted character may begin with this byte in JSON: an escape, DEL, or the first byte of one in UTF-8.
/// Outside of texts JSON has none of these.
const fn is_suspect(byte: u8) -> bool {
    matches!(byte, b'\\' | 0x7f | 0xc2 | 0xe2)
}

/// Without a branch for each byte, which is what lets the compiler take many at a time.
fn has_suspects(json: &[u8]) -> bool {
    json.chunks(256).any(|part| part.iter().fold(false, |found, byte| found | is_suspect(*byte)))
}

/// Where the next unwanted character stands. `at` must not be inside of an escape or a character.
fn unwanted(json: &[u8], mut at: usize) -> Option<Range<usize>> {
    loop {
        at += json.get(at..)?.iter().position(|byte| is_suspect(*byte))?;
        let (len, is_bad) = if json[at] == b'\\' { escaped(&json[at..]) } else { raw(&json[at..]) };
        if is_bad {
            return Some(at..at + len);
        }
        at += len;
    }
}

/// The length of an escape, and whether it stands for an unwanted character.
fn escaped(bytes: &[u8]) -> (usize, bool) {
    match bytes.get(1) {
        Some(b'u') => {
            let digits = bytes.get(2..6).and_then(|digits| str::from_utf8(digits).ok());
            let number = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
            (6, number.and_then(char::from_u32).is_some_and(is_unwanted))
        }
        Some(b'b' | b'f' | b'r') => (2, true),
        _ => (2, false),
    }
}

/// The length of a character in UTF-8, and whether it is unwanted.
fn raw(bytes: &[u8]) -> (usize, bool) {
    match bytes {
        [0x7f, ..] => (1, true),
        [0xc2, second, ..] => (2, (0x80..=0x9f).contains(second)),
        [0xe2, 0x80, third, ..] => (3, (0xaa..=0xae).contains(third)),
        [0xe2, 0x81, third, ..] => (3, (0xa6..=0xa9).contains(third)),
        _ => (1, false),
    }
}

/// Escapes and characters are whole units: what is left between them means what it meant.
fn strip_json(json: &[u8]) -> Bytes {
    let (mut out, mut at) = (Vec::with_capacity(json.len()), 0);
    while let Some(bad) = unwanted(json, at) {
        out.extend_from_slice(&json[at..bad.start]);
        at = bad.end;
    }
    out.extend_from_slice(&json[at..]);
    out.into()
}

fn texts_are_clean(value: &[u8]) -> bool {
    let mut source = MsgpackSource::new(value);
    let mut left = 1_u64;
    while left > 0 {
        left -= 1;
        match source.head() {
            Ok(Head::Text(text)) if text.chars().any(is_unwanted) => return false,
            Ok(head) => left += inside(head),
            // It was checked when it was read.
            Err(_) => return true,
        }
    }
    true
}

/// Values that follow the head as its own.
const fn inside(head: Head<'_>) -> u64 {
    match head {
        Head::Array(len) => len as u64,
        Head::Map(len) => 2 * len as u64,
        _ => 0,
    }
}

fn strip_msgpack(value: &[u8]) -> Bytes {
    let (mut out, mut source, mut left) = (Vec::with_capacity(value.len()), MsgpackSource::new(value), 1_u64);
    while left > 0 {
        left -= 1;
        let start = source.position();
        match source.head() {
            Ok(Head::Text(text)) if text.chars().any(is_unwanted) => {
                let kept: String = text.chars().filter(|c| !is_unwanted(*c)).collect();
                write_str(&mut out, &kept).expect("invariant: a Vec takes every byte");
            }
            Ok(head) => {
                left += inside(head);
                out.extend_from_slice(&value[start..source.position()]);
            }
            Err(_) => break,
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;

    fn json(text: &str) -> Body {
        Body::Json(Bytes::copy_from_slice(text.as_bytes()))
    }

    fn stripped(text: &str) -> String {
        let Some(Body::Json(bytes)) = strip(&json(text)) else { return text.to_owned() };
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn what_is_clean_stays_as_it_is() {
        for clean in [
            r#"{"a":"plain","b":[1,2.50,null]}"#,
            r#""tab\t newline\n quote\" slash\\ \/ \u00e9 \ud83d\ude00 “©” \\u0000""#,
            "\"é ©   € “quoted” \u{2029} \u{202f} \u{206a}\"",
            " [ 1 ,\r\n\t2 ] ",
        ] {
            assert!(is_clean(&json(clean)), "{clean}");
            assert_eq!(strip(&json(clean)), None);
        }
    }

    #[test]
    fn every_way_to_write_one_is_found() {
        for (bad, good) in [
            (r#""a\u0000b""#, r#""ab""#),
            (r#""a\u001Bb\u001b[0m""#, r#""ab[0m""#),
            (r#""\b\f\r\t\n""#, r#""\t\n""#),
            (r#""\u007f\u0080\u009F\u00a0""#, r#""\u00a0""#),
            ("\"\u{7f}\u{80}\u{9f}\u{a0}\"", "\"\u{a0}\""),
            (r#""\u202a\u202e\u202f\u2066\u2069\u206A""#, r#""\u202f\u206A""#),
            ("\"\u{202a}x\u{202e}\u{202f}\u{2066}\u{2069}\u{206a}\"", "\"x\u{202f}\u{206a}\""),
            (r#"{"\u0001key":"\\\u0002"}"#, r#"{"key":"\\"}"#),
            // What an escape leaves behind does not become another one.
            (r#""\\\u0000u0001""#, r#""\\u0001""#),
        ] {
            assert!(!is_clean(&json(bad)), "{bad}");
            assert_eq!(stripped(bad), good);
        }
    }

    fn text() -> impl Strategy<Value = String> {
        let c = prop_oneof![
            Just('\u{0}'),
            Just('\u{1b}'),
            Just('\t'),
            Just('\n'),
            Just('\r'),
            Just('"'),
            Just('\\'),
            Just('u'),
            Just('0'),
            Just('\u{7f}'),
            Just('\u{85}'),
            Just('\u{a9}'),
            Just('\u{202e}'),
            Just('\u{2019}'),
            Just('\u{2067}'),
            any::<char>(),
        ];
        proptest::collection::vec(c, 0..12).prop_map(|chars| chars.into_iter().collect())
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            text().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            let members = proptest::collection::btree_map(text(), inner.clone(), 0..6);
            prop_oneof![
                proptest::collection::vec(inner, 0..6).prop_map(Value::from),
                members.prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn clean_text(text: &str) -> String {
        text.chars().filter(|c| !is_unwanted(*c)).collect()
    }

    /// The obvious definition. Nothing where two names would become one.
    fn expected(value: &Value) -> Option<Value> {
        Some(match value {
            Value::String(text) => clean_text(text).into(),
            Value::Array(items) => items.iter().map(expected).collect::<Option<Vec<_>>>()?.into(),
            Value::Object(members) => {
                let mut clean = Map::new();
                for (name, value) in members {
                    if clean.insert(clean_text(name), expected(value)?).is_some() {
                        return None;
                    }
                }
                clean.into()
            }
            other => other.clone(),
        })
    }

    /// With an escape for everything beyond ASCII.
    fn escaped_json(value: &Value) -> String {
        let escape = |c: char| {
            let units = c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect();
            if c.is_ascii() && c != '\u{7f}' { c.to_string() } else { units }
        };
        value.to_string().chars().map(escape).collect()
    }

    proptest! {
        #[test]
        fn nothing_unwanted_is_left_and_everything_else_is_equal(value in value()) {
            let Some(expected) = expected(&value) else { return Ok(()) };
            for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap(), escaped_json(&value)] {
                let clean = strip(&json(&text));
                prop_assert_eq!(clean.is_none(), expected == value);
                let clean = clean.unwrap_or(json(&text));
                prop_assert!(is_clean(&clean));
                let Body::Json(bytes) = clean else { unreachable!() };
                prop_assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), expected.clone());
            }
            let packed = Body::MessagePack(rmp_serde::to_vec_named(&value).unwrap().into());
            let clean = strip(&packed);
            prop_assert_eq!(clean.is_none(), expected == value);
            let clean = clean.unwrap_or(packed);
            prop_assert!(is_clean(&clean));
            let Body::MessagePack(bytes) = clean else { unreachable!() };
            prop_assert_eq!(rmp_serde::from_slice::<Value>(&bytes).unwrap(), expected);
        }

        #[test]
        fn any_bytes_are_taken(bytes: Vec<u8>) {
            for body in [Body::Json(bytes.clone().into()), Body::MessagePack(bytes.into())] {
                let _ = strip(&body);
            }
        }
    }
}
