//! What a command says, as a value, with what a plain parser lets through or cannot name: a member given twice, a number that is
//! none, a text that is no Unicode.

use std::fmt;

use fanfare_protocol::{Body, json};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// What the parser is told of a member that comes again.
const TWICE: &str = "twice";

/// Why something cannot be read.
#[derive(Debug)]
pub(super) struct Unread {
    /// The member at fault, where it is an object.
    pub(super) member: Option<String>,
    /// What is wrong with it.
    pub(super) rule: &'static str,
}

/// Reads a body, whatever its encoding.
pub(super) fn read(body: &Body) -> Result<Value, Unread> {
    let transcoded;
    let text = match body {
        Body::Json(bytes) => &**bytes,
        Body::MessagePack(bytes) => {
            let mut text = Vec::new();
            json::from_msgpack_exactly(bytes, &mut text);
            transcoded = text;
            &transcoded
        }
    };
    let mut member = None;
    let mut source = serde_json::Deserializer::from_slice(text);
    let read = Given { member: Some(&mut member) }.deserialize(&mut source);
    read.map_err(|error| {
        let told = error.to_string();
        let rule = if told.starts_with(TWICE) {
            "must be given once, and so must each of its members"
        } else if told.starts_with("number out of range") {
            "must hold only numbers that are finite"
        } else {
            "must hold only text that is Unicode: half of a pair of surrogates is none"
        };
        Unread { member, rule }
    })
}

/// A value, and which member of the outermost object is being read.
struct Given<'g> {
    member: Option<&'g mut Option<String>>,
}

impl<'de> DeserializeSeed<'de> for Given<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Value, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Given<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Value, E> {
        Ok(flag.into())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Number::from_f64(number).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Given { member: None })? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if let Some(member) = &mut self.member {
                **member = Some(name.clone());
            }
            if object.contains_key(&name) {
                return Err(A::Error::custom(TWICE));
            }
            let value = members.next_value_seed(Given { member: None })?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(text: &str) -> Result<Value, (Option<String>, &'static str)> {
        read(&Body::Json(text.to_owned().into())).map_err(|unread| (unread.member, unread.rule))
    }

    #[test]
    fn a_value_is_what_any_parser_makes_of_it() {
        for text in
            [r#"{"a":[1,-2,2.5,1e300,"é\n",true,null,{"b":{}}],"c":18446744073709551615}"#, "[]", "null", "7"]
        {
            assert_eq!(of(text).unwrap(), serde_json::from_str::<Value>(text).unwrap(), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_names_the_member() {
        for (text, rule) in [
            (r#"{"x":1,"a":1,"a":2}"#, "once"),
            (r#"{"x":1,"a":[{"b":1,"b":1}]}"#, "once"),
            (r#"{"x":1,"a":{"b":1e999}}"#, "finite"),
            (r#"{"x":1,"a":-1e999}"#, "finite"),
            (r#"{"x":1,"a":"\ud800"}"#, "Unicode"),
            (r#"{"x":1,"a":{"\udc00":1}}"#, "Unicode"),
        ] {
            let (member, told) = of(text).unwrap_err();
            assert!(member.as_deref() == Some("a") && told.contains(rule), "{text}: {member:?} {told}");
        }
        assert_eq!(of("1e999").unwrap_err().0, None);
    }

    #[test]
    fn a_number_of_message_pack_that_is_none_is_not_taken_for_nothing() {
        let packed = |number: f64| {
            let mut bytes = vec![0x81, 0xa1, b'a', 0xcb];
            bytes.extend_from_slice(&number.to_be_bytes());
            read(&Body::MessagePack(bytes.into())).map_err(|unread| unread.member)
        };
        assert_eq!(packed(2.5), Ok(json!({"a": 2.5})));
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(packed(number), Err(Some("a".to_owned())));
        }
    }
}
