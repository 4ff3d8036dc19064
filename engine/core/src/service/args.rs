//! The arguments of a command, checked by its declaration.

use std::mem;

use fanfare_protocol::{Body, Refusal, timestamp};
use serde_json::{Map, Value};

use super::clean;
use super::given::{self, Unread};
use super::known;
use super::rules::{Fault, checked, from_text, invalid};
use super::spec::Spec;
use crate::room_type::Sanitize;

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
        let mut args = Self::read_unclean(spec, body, path)?;
        args.clean(spec, Sanitize::Off)?;
        Ok(args)
    }

    /// The same, where it is not known yet what the room wants of characters that hide text: they are looked for later.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_unclean(
        spec: &Spec,
        body: Option<&Body>,
        path: &[(&'static str, String)],
    ) -> Result<Self, Refusal> {
        let mut given = match body.map(given::read) {
            None | Some(Ok(Value::Null)) => Map::new(),
            Some(Ok(Value::Object(given))) => given,
            Some(Ok(_) | Err(Unread { member: None, .. })) => {
                return Err(invalid("data", "`data` must be an object"));
            }
            Some(Err(Unread { member: Some(member), rule })) => {
                return Err(spec.field(&member).map_or_else(
                    || Refusal::invalid(None, None, format!("a member that is not known here {rule}")),
                    |field| Fault::new(field.name, rule).into(),
                ));
            }
        };
        known::check(spec, &given)?;
        for (name, value) in path {
            let field = spec.field(name);
            given.insert((*name).to_owned(), field.map_or(Value::Null, |field| from_text(field, value)));
        }
        Ok(Self { given: checked(spec.fields, given)?, so_far: Value::Null })
    }

    /// Does with characters that hide or forge text what a room's type says. No text of a service's holds them in any case.
    ///
    /// # Errors
    /// There are some, and they are not to be taken out; or without them a rule is broken.
    pub(crate) fn clean(&mut self, spec: &Spec, rule: Sanitize) -> Result<(), Refusal> {
        if self.given.values().all(clean::is_clean) {
            return Ok(());
        }
        if rule == Sanitize::Strip {
            let mut given = mem::take(&mut self.given);
            clean::strip(spec.fields, &mut given);
            self.given = checked(spec.fields, given)?;
            return Ok(());
        }
        let fault = clean::unclean(spec.fields, &self.given, rule == Sanitize::Refuse);
        fault.map_or(Ok(()), |fault| Err(fault.into()))
    }

    /// The same, but what is not to be there is left out alone.
    pub(crate) fn clean_each(&mut self, spec: &Spec, rule: Sanitize) {
        if self.clean(spec, rule).is_err() {
            self.given.retain(|_, value| clean::is_clean(value));
        }
    }

    /// Those members of a body that keep their rules, each by itself. For what may say anything.
    pub(crate) fn fitting(spec: &Spec, body: Option<&Body>) -> Self {
        let Some(Ok(Value::Object(mut given))) = body.map(given::read) else { return Self::default() };
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
            Field::optional("users", Rule::Ids(1, 2), ""),
            Field::optional("url", Rule::Link(12), ""),
            Field::optional("from", Rule::Clock, ""),
            Field::optional("part", Rule::Part(&[Field::required("m", Rule::Flag, "")]), ""),
            Field::optional("network", Rule::Network, ""),
            Field::optional("sign", Rule::Sign(8), ""),
            Field::optional("offset", Rule::Integer(-9, 9), ""),
            Field::optional("huge", Rule::Number(-1e300, 1e300), ""),
            Field::optional("free", Rule::Object(60), ""),
            Field::optional("steps", Rule::Objects(2, &[Field::optional("name", Rule::Text(9), "")]), ""),
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
            "users":["a"],"url":"/a","from":"22:00","part":{"m":true},"sign":"👍🏽","offset":-2.0}"#,
        )
        .unwrap();
        assert_eq!((args.text("sign"), args.value("offset")), (Some("👍🏽"), Some(&(-2).into())));
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
            (r#"{"id":"x","title":"\u202e"}"#, "title"),
            (r#"{"id":"x","tags":["a","\u001b"]}"#, "tags"),
            (r#"{"id":"x","url":"/\u202e"}"#, "url"),
            (r#"{"id":"x","sign":"a b"}"#, "sign"),
            (r#"{"id":"x","sign":"\n"}"#, "sign"),
            (r#"{"id":"x","sign":"\u2067"}"#, "sign"),
            (r#"{"id":"x","sign":"123456789"}"#, "sign"),
            (r#"{"id":"x","sign":""}"#, "sign"),
            (r#"{"id":"x","offset":1.5}"#, "offset"),
            (r#"{"id":"x","offset":-10}"#, "offset"),
            (r#"{"id":"x","share":1e999}"#, "share"),
            (r#"{"id":"x","values":{"a":1e999}}"#, "values"),
            (r#"{"id":"x","title":"\ud800"}"#, "title"),
            (r#"{"id":"x","title":"a","title":"b"}"#, "title"),
            (r#"{"id":"x","free":{"a":1,"a":2}}"#, "free"),
        ] {
            let refusal = read(text).unwrap_err();
            assert_eq!(refusal.field, Some(field), "{text}: {}", refusal.message);
            assert!(refusal.message.contains(field), "{}", refusal.message);
        }
    }

    #[test]
    fn a_refusal_tells_where_the_field_is_and_what_it_may_be() {
        for (text, message) in [
            (r#"{"id":"x","parts":[{"n":1},{}]}"#, "`parts[1].n` is required"),
            (
                r#"{"id":"x","steps":[{"name":""}]}"#,
                "`steps[0].name` must be 1 to 9 characters long, it is 0",
            ),
            (r#"{"id":"x","part":{"m":1}}"#, "`part.m` must be true or false"),
            (r#"{"id":"x","why":{"code":1}}"#, "`why.code` must be text"),
            (r#"{"id":"x","values":{"a":10}}"#, "`values.a` must be a number from -9 to 9"),
            (r#"{"id":"x","huge":1e301}"#, "`huge` must be a number from -1e300 to 1e300"),
            (
                r#"{"id":"x","steps":[{"name":"\u202e"}]}"#,
                "`steps[0].name` must hold no control characters but tab and newline, and none that turn the direction of text",
            ),
            (
                r#"{"id":"x","more":1,"more":2}"#,
                "a member that is not known here must be given once, and so must each of its members",
            ),
        ] {
            assert_eq!(read(text).unwrap_err().message, message, "{text}");
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
    fn a_rooms_type_says_what_becomes_of_characters_that_hide_text() {
        let clean = |text: &str, rule| {
            let mut args = Args::read_unclean(&SPEC, Some(&Body::Json(text.to_owned().into())), &[]).unwrap();
            args.clean(&SPEC, rule).map(|()| args).map_err(|refusal| refusal.field)
        };
        let text = r#"{"id":"x","title":"a\u202eb","tags":["\u0007c"],"steps":[{"name":"d\u0000"}],"user":"e\u202e"}"#;
        assert_eq!(clean(text, Sanitize::Off), Err(Some("title")), "no text of a service's holds them");
        assert_eq!(clean(text, Sanitize::Refuse), Err(Some("title")));
        let args = clean(text, Sanitize::Strip).unwrap();
        assert_eq!((args.word("title"), args.texts("tags").collect::<Vec<_>>()), ("ab", vec!["c"]));
        assert_eq!(
            (&args.list("steps")[0]["name"], args.word("user")),
            (&"d".into(), "e\u{202e}"),
            "an id is what it is"
        );
        assert_eq!(
            clean(r#"{"id":"x","title":"\u202e"}"#, Sanitize::Strip),
            Err(Some("title")),
            "nothing is left"
        );
        let free = r#"{"id":"x","free":{"a":[{"\u001b":"\u202e"}]}}"#;
        assert_eq!(clean(free, Sanitize::Off).unwrap().value("free").unwrap()["a"][0]["\u{1b}"], "\u{202e}");
        assert_eq!(clean(free, Sanitize::Refuse), Err(Some("free")));
        assert_eq!(clean(free, Sanitize::Strip).unwrap().value("free").unwrap()["a"][0][""], "");
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
