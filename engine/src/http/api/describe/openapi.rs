//! The OpenAPI document (3.1).

use fanfare_core::service::{self, Method, Place, Spec};
use fanfare_protocol::name::RESERVED_EVENTS;
use serde_json::{Map, Value, json};

use super::schema;
use crate::http::api::admin;

/// What all have in common.
const FRAME: &str = include_str!("openapi.json");
/// The paths that are no service's.
const PATHS: [&str; 5] = [
    include_str!("paths/connections.json"),
    include_str!("paths/health.json"),
    include_str!("paths/inspector.json"),
    include_str!("paths/messages.json"),
    include_str!("paths/webhooks.json"),
];
/// Refusals that every authorised path may answer with.
const REFUSALS: [&str; 11] = ["400", "401", "403", "404", "408", "409", "413", "415", "421", "429", "503"];

pub(super) fn document() -> Value {
    let read = |text| serde_json::from_str::<Value>(text).expect("invariant: a test reads it");
    let mut document = read(FRAME);
    for paths in PATHS {
        let Value::Object(paths) = read(paths) else { continue };
        document["paths"].as_object_mut().expect("invariant: a test reads it").extend(paths);
    }
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    let event = &mut document["components"]["schemas"]["Publish"]["properties"]["event"];
    event["not"]["enum"] = RESERVED_EVENTS.to_vec().into();
    for path in members(&mut document["paths"]) {
        for operation in members(path) {
            let is_open = operation.get("security").is_some();
            if !is_open {
                operation["security"] = json!([{ "bearer": [] }]);
                add_refusals(operation);
            }
        }
    }
    for spec in service::commands().chain(&admin::COMMANDS) {
        document["paths"][spec.path][spec.method.name().to_lowercase()] = operation(spec);
    }
    document
}

fn members(object: &mut Value) -> impl Iterator<Item = &mut Value> {
    object.as_object_mut().into_iter().flat_map(Map::values_mut)
}

fn operation(spec: &Spec) -> Value {
    let (service, _) = spec.name.split_once('.').unwrap_or((spec.name, ""));
    let in_path: Vec<&str> = spec.path_names().collect();
    let mut parameters: Vec<Value> = in_path.iter().map(|name| path_parameter(spec, name)).collect();
    let rest = spec.fields.iter().filter(|field| !in_path.contains(&field.name));
    let mut operation = json!({
        "operationId": spec.name,
        "tags": [service],
        "summary": spec.about,
        "description": format!(
            "The command `{}`. Needs {}.",
            spec.name,
            match spec.access {
                service::Access::Read => "to be allowed to join the room",
                service::Access::Write => "to be allowed to publish to the room",
                service::Access::Presence => "the permission `presence`",
                service::Access::Control => "the permission `control`",
                service::Access::Admin => "the permission `admin`",
            },
        ),
        "security": [{ "bearer": [] }],
        "responses": {
            "200": {
                "description": "Done.",
                "content": { "application/json": { "schema": schema::object(spec.answer) } },
            },
        },
    });
    if spec.method == Method::Get {
        parameters.extend(rest.map(|field| {
            let mut schema = schema::described(field);
            let about = schema["description"].take();
            schema.as_object_mut().expect("invariant: a schema is an object").remove("description");
            json!({
                "name": field.name, "in": "query", "required": field.required,
                "description": about, "schema": schema,
            })
        }));
    } else {
        let mut body = schema::arguments(spec);
        for name in &in_path {
            body["properties"].as_object_mut().map(|properties| properties.remove(*name));
            if let Some(required) = body["required"].as_array_mut() {
                required.retain(|required| required != name);
            }
        }
        if let Place::Each(_, names) = spec.place {
            let fields: Vec<_> = names.iter().filter_map(|name| spec.field(name)).collect();
            body["oneOf"] = schema::one_of(&fields);
        }
        let has_required = body["required"].as_array().is_some_and(|required| !required.is_empty());
        let needs_body = has_required || body.get("oneOf").is_some();
        let takes_body = body["properties"].as_object().is_some_and(|properties| !properties.is_empty());
        if takes_body && spec.method == Method::Delete {
            let about = operation["description"].as_str().unwrap_or_default();
            operation["description"] = format!("{about} What the body takes may stand in the query.").into();
        }
        if takes_body {
            operation["requestBody"] =
                json!({ "required": needs_body, "content": { "application/json": { "schema": body } } });
        }
    }
    if matches!(spec.place, Place::Own) {
        operation["description"] = format!(
            "{} With an API key, or for another user as an operator, `user_id` says whose.",
            operation["description"].as_str().unwrap_or_default()
        )
        .into();
    }
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    add_refusals(&mut operation);
    operation
}

fn path_parameter(spec: &Spec, name: &str) -> Value {
    let schema = match spec.field(name) {
        Some(field) => schema::described(field),
        None => json!({ "$ref": "#/components/schemas/RoomName" }),
    };
    json!({ "name": name, "in": "path", "required": true, "schema": schema })
}

fn add_refusals(operation: &mut Value) {
    for status in REFUSALS {
        if operation["responses"].get(status).is_none() {
            operation["responses"][status] = json!({ "$ref": "#/components/responses/Refused" });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::api::describe::assert_references;

    #[test]
    fn every_command_is_described_and_every_reference_leads_somewhere() {
        let document = document();
        for spec in service::commands() {
            let operation = &document["paths"][spec.path][spec.method.name().to_lowercase()];
            assert_eq!(operation["operationId"], spec.name);
        }
        assert_references(&document);
        let operation = &document["paths"]["/v1/admin/revocations/users/{user_id}"]["put"];
        let body = &operation["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(body["additionalProperties"], false);
        assert_eq!(body["allOf"][0]["not"]["required"], json!(["issued_before", "token_id"]));
    }
}
