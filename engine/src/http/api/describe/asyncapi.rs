//! The AsyncAPI document (3.1): one channel, the WebSocket; commands that are sent, and messages that come.

use fanfare_core::service::{self, Said};
use serde_json::{Map, Value, json};

use super::schema;

/// Commands, replies and messages that are no service's.
const OWN: &str = include_str!("asyncapi.json");

pub(super) fn document() -> Value {
    let mut document: Value = serde_json::from_str(OWN).expect("invariant: a test reads it");
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    for spec in service::commands() {
        let mut payload = json!({
            "type": "object",
            "required": ["type", "data"],
            "properties": {
                "type": { "const": spec.name },
                "id": { "$ref": "#/components/schemas/CommandId" },
                "data": schema::arguments(spec),
            },
        });
        if matches!(spec.place, service::Place::Room) {
            payload["properties"]["room"] = json!({ "$ref": "#/components/schemas/RoomName" });
            payload["required"] = json!(["type", "room"]);
        }
        let message = json!({ "name": spec.name, "summary": spec.about, "payload": payload });
        let answer = json!({
            "name": format!("{}.ok", spec.name),
            "summary": format!("Answers `{}`.", spec.name),
            "payload": {
                "type": "object",
                "required": ["type", "data"],
                "properties": {
                    "type": { "const": "ok" },
                    "id": { "$ref": "#/components/schemas/CommandId" },
                    "data": schema::object(spec.answer),
                },
            },
        });
        add(&mut document, "receive", spec.name, message, Some(answer));
    }
    for (service, said) in service::messages() {
        // Some messages are named as commands are: `operation_complete`, `operation.complete`.
        let mut id = id_of(said.name);
        if !document["components"]["messages"][&id].is_null() {
            id.push_str("_message");
        }
        add(&mut document, "send", &id, said_message(service, said), None);
    }
    let own = document.as_object_mut().and_then(|document| document.remove("x-own"));
    for (kind, action) in [("commands", "receive"), ("messages", "send")] {
        let messages = own.as_ref().and_then(|own| own[kind].as_object()).cloned().unwrap_or_default();
        for (name, message) in messages {
            add(&mut document, action, &name, own_message(&name, &message), None);
        }
    }
    document
}

/// From `{about, required, properties}` to a message.
fn own_message(name: &str, message: &Value) -> Value {
    let mut properties = Map::new();
    properties.insert("type".to_owned(), json!({ "const": name }));
    properties.extend(message["properties"].as_object().cloned().unwrap_or_default());
    if name == "message" {
        properties
            .insert("type".to_owned(), json!({ "type": "string", "description": "The publisher's event." }));
    }
    let mut required = vec![json!("type")];
    required.extend(message["required"].as_array().cloned().unwrap_or_default());
    json!({
        "name": name,
        "summary": message["about"],
        "payload": { "type": "object", "required": required, "properties": properties },
    })
}

/// What a service says.
fn said_message(service: &str, said: &Said) -> Value {
    let text = json!({ "type": "string" });
    let mut properties = json!({
        "type": { "const": said.name },
        "room": { "type": "string" },
        "timestamp": { "type": "string", "format": "date-time" },
        "user_id": { "type": "string", "description": "On whose behalf, if on anybody's." },
        "priority": { "type": "integer", "minimum": 1, "maximum": 9, "description": "If there is one." },
        "data": schema::object(said.fields),
    });
    let mut required = vec!["type", "room", "timestamp", "data"];
    if said.kept {
        properties["offset"] = json!({ "type": "integer", "minimum": 1 });
        properties["epoch"] = text.clone();
        properties["message_id"] = text;
        required.extend(["offset", "epoch", "message_id"]);
    }
    json!({
        "name": said.name,
        "summary": said.about,
        "tags": [{ "name": service }],
        "payload": { "type": "object", "required": required, "properties": properties },
    })
}

/// A name as ids of the document may be.
fn id_of(name: &str) -> String {
    name.replace(['.', '$'], "_")
}

/// Adds a message and the operation that brings it. The server receives commands and sends messages.
fn add(document: &mut Value, action: &str, name: &str, message: Value, reply: Option<Value>) {
    let mut id = id_of(name);
    if !document["components"]["messages"][&id].is_null() {
        // Some answers are named as their commands are.
        id.push_str("_reply");
    }
    let reference = |id: &str| json!({ "$ref": format!("#/channels/connection/messages/{id}") });
    document["components"]["messages"][&id] = message;
    document["channels"]["connection"]["messages"][&id] =
        json!({ "$ref": format!("#/components/messages/{id}") });
    let mut operation = json!({
        "action": action,
        "channel": { "$ref": "#/channels/connection" },
        "messages": [reference(&id)],
    });
    if let Some(reply) = reply {
        let reply_id = format!("{id}_ok");
        document["components"]["messages"][&reply_id] = reply;
        document["channels"]["connection"]["messages"][&reply_id] =
            json!({ "$ref": format!("#/components/messages/{reply_id}") });
        operation["reply"] = json!({
            "channel": { "$ref": "#/channels/connection" },
            "messages": [reference(&reply_id), reference("error")],
        });
    }
    document["operations"][&id] = operation;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::api::describe::assert_references;

    #[test]
    fn every_command_is_described_and_every_reference_leads_somewhere() {
        let document = document();
        for spec in service::commands() {
            let id = spec.name.replace('.', "_");
            assert_eq!(document["operations"][&id]["action"], "receive", "{}", spec.name);
        }
        let told = |id: &str| &document["components"]["messages"][id];
        for (_, said) in service::messages() {
            let is_it = |id: &str| told(id)["payload"]["properties"]["type"]["const"] == said.name;
            let id = id_of(said.name);
            let id = if is_it(&id) { id } else { format!("{id}_message") };
            assert!(is_it(&id) && document["operations"][&id]["action"] == "send", "{}", said.name);
        }
        assert_eq!(told("operation_complete")["name"], "operation.complete");
        assert_eq!(told("operation_complete_message")["name"], "operation_complete");
        let required = |id: &str| told(id)["payload"]["required"].as_array().map_or(0, Vec::len);
        assert_eq!((required("_alert"), required("_values"), required("_removed")), (7, 4, 4));
        for name in ["auth", "join", "publish", "welcome", "error", "message"] {
            assert!(document["components"]["messages"].get(name).is_some(), "{name}");
        }
        assert_references(&document);
    }
}
