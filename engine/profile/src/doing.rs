//! What is known of `do` before anything is said: commands that there are none of, and what a command cannot be without.

use fanfare_protocol::json;
use serde_json::{Value, json as object};

use crate::problem::Problem;

/// What the engine's own commands cannot be without, beside what they say who they are for.
const NEEDED: [(&str, &[&str]); 7] = [
    ("publish", &["event"]),
    ("join", &["room"]),
    ("leave", &["room"]),
    ("history", &["room"]),
    ("presence", &["room"]),
    ("ack", &["room", "offset"]),
    ("refresh", &["token"]),
];

/// Looks at commands whose type is written out, and gives the places and names of those that are for services to know.
///
/// # Errors
/// One is none, or lacks something.
pub(crate) fn check(commands: &[Value], place: &str) -> Result<Vec<(String, String)>, Problem> {
    let mut called = Vec::new();
    for (number, command) in commands.iter().enumerate() {
        let place = format!("{place}.do[{number}]");
        // One of several that come from a list.
        let command = command.get("each").and_then(|_| command.get("give")).unwrap_or(command);
        let Some(members) = command.as_object() else { continue };
        let Some(kind) = members.get("type").and_then(Value::as_str).filter(|kind| !kind.starts_with('='))
        else {
            continue;
        };
        if kind.contains('.') {
            called.push((place, kind.to_owned()));
            continue;
        }
        let mut refused = None;
        json::decode(object!({ "type": kind }).to_string().as_bytes(), &mut |outcome| {
            refused = outcome.err();
        });
        if let Some(refusal) = refused.filter(|refusal| refusal.field == Some("type")) {
            return Err(Problem::new(&place, refusal.message));
        }
        let needed = NEEDED.iter().find(|(of, _)| *of == kind).map_or(&[][..], |(_, needed)| needed);
        if let Some(lacking) = needed.iter().find(|name| !members.contains_key(**name)) {
            return Err(Problem::new(&place, format!("`{kind}` needs `{lacking}`")));
        }
    }
    Ok(called)
}
