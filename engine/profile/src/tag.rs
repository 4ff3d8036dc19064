//! What an answer brings back of what was asked: it travels as the command's id, which clients never see.

use serde_json::{Map, Value, json};

/// No client's id begins like this.
const MARK: char = '\u{1}';
/// A message up to so many bytes is remembered whole.
const WHOLE_BYTES_MAX: usize = 4_096;
/// Of a larger one, texts up to so many bytes.
const TEXT_BYTES_MAX: usize = 256;

/// See the module's own text.
#[derive(Debug, PartialEq)]
pub(crate) struct Tag {
    /// Which `[[in]]`.
    pub(crate) entry: usize,
    /// Commands of the same message before this one.
    pub(crate) before: usize,
    pub(crate) is_last: bool,
    pub(crate) message: Value,
}

impl Tag {
    pub(crate) fn write(&self) -> Box<str> {
        let Self { entry, before, is_last, message } = self;
        format!("{MARK}{}", json!([entry, before, is_last, message])).into()
    }

    pub(crate) fn read(text: &str) -> Option<Self> {
        let (entry, before, is_last, message) = serde_json::from_str(text.strip_prefix(MARK)?).ok()?;
        Some(Self { entry, before, is_last, message })
    }
}

/// Of a message what an answer may need: all of it, or of a large one its small members.
pub(crate) fn remembered(message: &Value, bytes: usize) -> Value {
    if bytes <= WHOLE_BYTES_MAX {
        return message.clone();
    }
    let mut kept = small(message);
    if let Some(data) = message.get("data").filter(|data| data.is_object()) {
        kept.insert("data".to_owned(), small(data).into());
    }
    kept.into()
}

fn small(object: &Value) -> Map<String, Value> {
    let is_small = |value: &Value| match value {
        Value::String(text) => text.len() <= TEXT_BYTES_MAX,
        Value::Number(_) | Value::Bool(_) => true,
        _ => false,
    };
    let members = object.as_object().into_iter().flatten();
    members
        .filter(|(_, value)| is_small(value))
        .map(|(name, value)| (name.clone(), value.clone()))
        .take(64)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_come_back_and_nothing_else_is_one() {
        let tag = Tag { entry: 3, before: 1, is_last: true, message: json!({"type": "x\n\u{1}"}) };
        assert_eq!(Tag::read(&tag.write()), Some(tag));
        assert_eq!((Tag::read("7"), Tag::read("\u{1}x")), (None, None));
    }

    #[test]
    fn of_a_large_message_ids_stay() {
        let text = "x".repeat(5_000);
        let message =
            json!({"type": "m", "id": 7, "text": text, "data": {"room": "a", "text": text, "list": [1]}});
        assert_eq!(remembered(&message, 10_100), json!({"type": "m", "id": 7, "data": {"room": "a"}}));
    }
}
