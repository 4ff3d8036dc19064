//! The arguments of a command, checked by its declaration.

use fanfare_protocol::{Body, Refusal, json, timestamp};
use serde_json::{Map, Value};

use super::rules::{checked, from_text, invalid};
use super::spec::Spec;

/// Arguments that keep the rules of their command. What is null was not given; what no rule names was left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Args {
    given: Map<String, Value>,
    so_far: Value,
}

impl Args {
    /// Reads what a command says, under what its path says.
    ///
    /// # Errors
    /// The first rule that is broken, with the field.
    pub fn read(spec: &Spec, body: Option<&Body>, path: &[(&'static str, String)]) -> Result<Self, Refusal> {
        let mut given = match body {
            None => Map::new(),
            Some(body) => match value_of(body) {
                Value::Object(given) => given,
                Value::Null => Map::new(),
                _ => return Err(invalid("data", "`data` must be an object")),
            },
        };
        for (name, value) in path {
            let field = spec.field(name);
            given.insert((*name).to_owned(), field.map_or(Value::Null, |field| from_text(field, value)));
        }
        Ok(Self { given: checked(spec.fields, given)?, so_far: Value::Null })
    }

    /// Those members of a body that keep their rules, each by itself. For what may say anything.
    pub(crate) fn fitting(spec: &Spec, body: Option<&Body>) -> Self {
        let Some(Value::Object(mut given)) = body.map(value_of) else { return Self::default() };
        let fitting = spec.fields.iter().filter_map(|field| {
            let one = given.remove_entry(field.name)?;
            checked(std::slice::from_ref(field), Map::from_iter([one])).ok()
        });
        Self { given: fitting.flatten().collect(), so_far: Value::Null }
    }

    /// A text, or one of a few words.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.given.get(name)?.as_str()
    }

    /// A text that is required.
    pub fn word(&self, name: &str) -> &str {
        self.text(name).expect("invariant: the command's rules ask for it")
    }

    /// A whole number.
    pub fn whole(&self, name: &str) -> Option<u64> {
        self.given.get(name)?.as_u64()
    }

    /// A number.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.given.get(name)?.as_f64()
    }

    /// True or false, if given.
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.given.get(name)?.as_bool()
    }

    /// Texts; none where it was not given.
    pub fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.list(name).iter().filter_map(Value::as_str)
    }

    /// The elements of a list; none where it was not given.
    pub fn list(&self, name: &str) -> &[Value] {
        self.given.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// A value as it was given.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.given.get(name)
    }

    /// A time, in milliseconds since 1970.
    pub fn time_unix_ms(&self, name: &str) -> Option<u64> {
        timestamp::parse_rfc3339(self.text(name)?)
    }

    /// Whether it was given.
    pub fn has(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }
}

impl Args {
    /// In a command about several rooms: what the one before has answered, else null.
    pub(crate) fn so_far(&self) -> &Value {
        &self.so_far
    }

    /// One of several rooms has answered.
    pub(crate) fn go_on(&mut self, so_far: Value) {
        self.so_far = so_far;
    }

    /// About how many bytes they keep alive.
    pub(crate) fn bytes(&self) -> usize {
        self.given.values().map(size).sum::<usize>() + size(&self.so_far)
    }
}

/// About how many bytes a value keeps alive.
fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(members) => members.iter().map(|(name, value)| name.len() + size(value)).sum(),
        _ => 8,
    }
}

/// What a body says, whatever its encoding.
fn value_of(body: &Body) -> Value {
    let value = match body {
        Body::Json(bytes) => serde_json::from_slice(bytes),
        Body::MessagePack(bytes) => {
            let mut text = Vec::new();
            json::from_msgpack(bytes, &mut text);
            serde_json::from_slice(&text)
        }
    };
    // The codec has checked it; what it lets through and this parser does not is no object.
    value.unwrap_or(Value::Bool(false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::spec::{Access, Field, Method, Place, Rule};

    const SPEC: Spec = Spec {
        name: "test.do",
        about: "Does.",
        method: Method::Post,
        path: "/v1/rooms/{room}/tests/{id}",
        access: Access::Read,
        place: Place::Room,
        fields: &[
            Field::required("id", Rule::Name, "which"),
            Field::optional("title", Rule::Text(5), ""),
            Field::optional("count", Rule::Whole(1, 9), ""),
            Field::optional("share", Rule::Number(0.0, 1.0), ""),
            Field::optional("on", Rule::Flag, ""),
            Field::optional("kind", Rule::Choice(&["a", "b"]), ""),
            Field::optional("tags", Rule::Texts(2, 3), ""),
            Field::optional("data", Rule::Any(10), ""),
            Field::optional("parts", Rule::Objects(2, &[Field::required("n", Rule::Whole(0, 9), "")]), ""),
            Field::optional("why", Rule::Members(30, &[Field::optional("code", Rule::Text(4), "")]), ""),
            Field::optional("values", Rule::Numbers(2, 9.0), ""),
            Field::optional("at", Rule::Time, ""),
            Field::optional("user", Rule::Id, ""),
            Field::optional("users", Rule::Ids(2), ""),
            Field::optional("url", Rule::Link(12), ""),
            Field::optional("from", Rule::Clock, ""),
            Field::optional("part", Rule::Part(&[Field::required("m", Rule::Flag, "")]), ""),
            Field::optional("network", Rule::Network, ""),
        ],
        answer: &[],
    };

    fn read(text: &str) -> Result<Args, Refusal> {
        Args::read(&SPEC, Some(&Body::Json(text.to_owned().into())), &[])
    }

    #[test]
    fn good_arguments_are_read_by_name() {
        let args = read(
            r#"{"id":"x","title":"a\n","count":3.0,"share":0.5,"on":true,"kind":"b","tags":["a"],"data":[1],
            "parts":[{"n":1,"other":2}],"at":"2026-11-20T10:30:00Z","user":"ada","more":1,
            "users":["a"],"url":"/a","from":"22:00","part":{"m":true}}"#,
        )
        .unwrap();
        assert_eq!((args.word("id"), args.whole("count"), args.number("share")), ("x", Some(3), Some(0.5)));
        assert_eq!((args.flag("on"), args.text("kind")), (Some(true), Some("b")));
        assert_eq!(args.texts("tags").collect::<Vec<_>>(), ["a"]);
        assert_eq!(args.list("parts"), [serde_json::json!({"n": 1})]);
        assert_eq!(args.time_unix_ms("at"), Some(1_795_170_600_000));
        assert!(!args.has("more") && args.has("data"));
        let why = read(r#"{"id":"x","why":{"code":"E","more":[1]}}"#).unwrap();
        assert_eq!(why.value("why"), Some(&serde_json::json!({"code": "E", "more": [1]})));
    }

    #[test]
    fn each_broken_rule_names_its_field() {
        for (text, field) in [
            ("[]", "data"),
            ("{}", "id"),
            (r#"{"id":null}"#, "id"),
            (r#"{"id":"a b"}"#, "id"),
            (r#"{"id":"x","title":"123456"}"#, "title"),
            (r#"{"id":"x","title":"\u0007"}"#, "title"),
            (r#"{"id":"x","title":1}"#, "title"),
            (r#"{"id":"x","count":0}"#, "count"),
            (r#"{"id":"x","count":1.5}"#, "count"),
            (r#"{"id":"x","count":-1}"#, "count"),
            (r#"{"id":"x","share":2}"#, "share"),
            (r#"{"id":"x","on":"true"}"#, "on"),
            (r#"{"id":"x","kind":"c"}"#, "kind"),
            (r#"{"id":"x","tags":["a","b","c"]}"#, "tags"),
            (r#"{"id":"x","tags":[""]}"#, "tags"),
            (r#"{"id":"x","data":"1234567890"}"#, "data"),
            (r#"{"id":"x","parts":[{}]}"#, "n"),
            (r#"{"id":"x","parts":[1]}"#, "parts"),
            (r#"{"id":"x","why":{"code":1}}"#, "code"),
            (r#"{"id":"x","why":[]}"#, "why"),
            (r#"{"id":"x","why":{"more":"1234567890123456789012345"}}"#, "why"),
            (r#"{"id":"x","values":{}}"#, "values"),
            (r#"{"id":"x","values":{"a":1,"b":2,"c":3}}"#, "values"),
            (r#"{"id":"x","values":{"a b":1}}"#, "values"),
            (r#"{"id":"x","values":{"a":10}}"#, "values"),
            (r#"{"id":"x","values":{"a":"1"}}"#, "values"),
            (r#"{"id":"x","at":"now"}"#, "at"),
            (r#"{"id":"x","user":"\u0000"}"#, "user"),
            (r#"{"id":"x","users":[]}"#, "users"),
            (r#"{"id":"x","users":["a","b","c"]}"#, "users"),
            (r#"{"id":"x","users":["a\u0000"]}"#, "users"),
            (r#"{"id":"x","users":[1]}"#, "users"),
            (r#"{"id":"x","url":"javascript:1"}"#, "url"),
            (r#"{"id":"x","url":"//evil"}"#, "url"),
            (r#"{"id":"x","url":"/too/long/for/it"}"#, "url"),
            (r#"{"id":"x","from":"24:00"}"#, "from"),
            (r#"{"id":"x","from":"22:60"}"#, "from"),
            (r#"{"id":"x","from":"22:0"}"#, "from"),
            (r#"{"id":"x","from":"+2:00"}"#, "from"),
            (r#"{"id":"x","from":22}"#, "from"),
            (r#"{"id":"x","part":{}}"#, "m"),
            (r#"{"id":"x","part":[]}"#, "part"),
            (r#"{"id":"x","network":"10.0.0.0/33"}"#, "network"),
            (r#"{"id":"x","network":7}"#, "network"),
        ] {
            let refusal = read(text).unwrap_err();
            assert_eq!(refusal.field, Some(field), "{text}: {}", refusal.message);
            assert!(refusal.message.contains(field), "{}", refusal.message);
        }
    }

    #[test]
    fn of_what_may_say_anything_the_good_members_count() {
        let body = Body::Json(r#"{"title":7,"count":2,"on":true,"more":1}"#.into());
        let args = Args::fitting(&SPEC, Some(&body));
        assert_eq!((args.whole("count"), args.flag("on"), args.has("title")), (Some(2), Some(true), false));
        assert!(!args.has("more"));
        for body in [None, Some(Body::Json("[1]".into())), Some(Body::Json("7".into()))] {
            assert_eq!(Args::fitting(&SPEC, body.as_ref()), Args::default());
        }
    }

    #[test]
    fn what_the_path_says_wins() {
        let body = Body::Json(r#"{"id":"x","count":2}"#.into());
        let args = Args::read(&SPEC, Some(&body), &[("id", "y".into()), ("count", "7".into())]).unwrap();
        assert_eq!((args.word("id"), args.whole("count")), ("y", Some(7)));
        let refusal = Args::read(&SPEC, None, &[("id", "y".into()), ("count", "x".into())]).unwrap_err();
        assert_eq!(refusal.field, Some("count"));
    }

    #[test]
    fn both_encodings_say_the_same() {
        let packed = Body::MessagePack(vec![0x81, 0xa2, b'i', b'd', 0xa1, b'x'].into());
        assert_eq!(Args::read(&SPEC, Some(&packed), &[]).unwrap(), read(r#"{"id":"x"}"#).unwrap());
    }
}
