//! JSON Schemas of what services take and answer.

use fanfare_core::service::{Field, Rule, Spec};
use serde_json::{Map, Value, json};

/// No control characters, quotes and backslashes.
const ID: &str = r#"^[^\u0000-\u001f\u007f-\u009f"\\]*$"#;
const NAME: &str = r"^[A-Za-z0-9._:=~+-]{1,64}$";
/// No control characters but line feeds and tabs, and none that turn the direction of text.
const TEXT: &str = r"^[^\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]*$";
const SIGN: &str = r"^[^\s\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]*$";
const LINK: &str = r"^(https?://|/(?!/))[^\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]*$";
const CLOCK: &str = r"^([01][0-9]|2[0-3]):[0-5][0-9]$";
/// Four numbers up to 255 and one up to 32.
const IPV4_RANGE: &str = r"^((25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])\.){3}(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])/(3[0-2]|[12]?[0-9])$";
/// Eight groups written out, and a number up to 128; what is shortened is understood as well.
const IPV6_RANGE: &str = r"^([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}/(12[0-8]|1[01][0-9]|[1-9]?[0-9])$";

/// That exactly one of these members is given; of one that is true or false, that it is true.
pub(super) fn one_of(fields: &[&Field]) -> Value {
    let given = |field: &&Field| {
        let what = match field.rule {
            Rule::Flag => json!({ "const": true }),
            _ => json!({ "not": { "type": "null" } }),
        };
        json!({ "required": [field.name], "properties": { field.name: what } })
    };
    fields.iter().map(given).collect()
}

/// What a command takes. What steers takes nothing else.
pub(super) fn arguments(spec: &Spec) -> Value {
    let mut schema = object(spec.fields);
    if spec.steers() {
        schema["additionalProperties"] = false.into();
    }
    let apart = |field: &Field| Some(not_both(field.name, field.instead_of?));
    let apart: Vec<Value> = spec.fields.iter().filter_map(apart).collect();
    if !apart.is_empty() {
        schema["allOf"] = apart.into();
    }
    schema
}

fn not_both(one: &str, other: &str) -> Value {
    let given = json!({ "not": { "type": "null" } });
    json!({ "not": { "required": [one, other], "properties": { one: given, other: given } } })
}

/// An object with these members.
pub(super) fn object(fields: &[Field]) -> Value {
    let property = |field: &Field| match described(field) {
        schema if field.required => (field.name.to_owned(), schema),
        // Null counts as not given.
        schema => (field.name.to_owned(), json!({ "anyOf": [schema, { "type": "null" }] })),
    };
    let properties: Map<String, Value> = fields.iter().map(property).collect();
    let required: Vec<&str> = fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    let mut schema = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    schema
}

/// One member.
pub(super) fn described(field: &Field) -> Value {
    let mut schema = rule(&field.rule);
    schema["description"] = field.about.into();
    schema
}

fn rule(rule: &Rule) -> Value {
    match rule {
        Rule::Text(max) => json!({ "type": "string", "minLength": 1, "maxLength": max, "pattern": TEXT }),
        Rule::Sign(max) => {
            json!({ "type": "string", "minLength": 1, "maxLength": max, "x-max-bytes": max, "pattern": SIGN })
        }
        Rule::Name => json!({ "type": "string", "pattern": NAME }),
        Rule::Id => json!({ "type": "string", "minLength": 1, "maxLength": 128, "pattern": ID }),
        Rule::Whole(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Rule::Number(min, max) => json!({ "type": "number", "minimum": min, "maximum": max }),
        Rule::Integer(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Rule::Flag => json!({ "type": "boolean" }),
        Rule::FlagOr(words) => json!({ "enum": flag_or(words) }),
        Rule::Choice(words) => json!({ "type": "string", "enum": words }),
        Rule::Texts(count, max) => json!({
            "type": "array", "maxItems": count,
            "items": { "type": "string", "minLength": 1, "maxLength": max, "pattern": TEXT },
        }),
        Rule::Distinct(min, count, max) => json!({
            "type": "array", "minItems": min, "maxItems": count, "uniqueItems": true,
            "items": { "type": "string", "minLength": 1, "maxLength": max, "pattern": TEXT },
        }),
        Rule::Ids(min, max) => json!({
            "type": "array", "minItems": min, "maxItems": max,
            "items": { "type": "string", "minLength": 1, "maxLength": 128, "pattern": ID },
        }),
        Rule::Link(max) => json!({ "type": "string", "maxLength": max, "pattern": LINK }),
        Rule::Clock => json!({ "type": "string", "pattern": CLOCK }),
        Rule::Part(fields) => object(fields),
        Rule::Any(max) => json!({ "x-max-bytes": max }),
        Rule::Object(max) => json!({ "type": "object", "x-max-bytes": max }),
        Rule::Members(max, fields) => {
            let mut schema = object(fields);
            schema["x-max-bytes"] = (*max).into();
            schema
        }
        Rule::Objects(count, fields) => {
            json!({ "type": "array", "maxItems": count, "items": object(fields) })
        }
        Rule::Numbers(count, bound) => json!({
            "type": "object",
            "minProperties": 1,
            "maxProperties": count,
            "propertyNames": self::rule(&Rule::Name),
            "additionalProperties": self::rule(&Rule::Number(-bound, *bound)),
        }),
        Rule::Network => json!({
            "type": "string",
            "anyOf": [{ "format": "ipv4" }, { "pattern": IPV4_RANGE }, { "format": "ipv6" }, { "pattern": IPV6_RANGE }],
        }),
        Rule::Time => json!({ "type": "string", "format": "date-time" }),
    }
}

fn flag_or(words: &[&str]) -> Vec<Value> {
    [json!(true), json!(false)].into_iter().chain(words.iter().map(|word| json!(word))).collect()
}
