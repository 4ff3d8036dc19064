//! What a command that steers is given and does not know: refused, because a misspelled `dry_run` must not do what was only to be tried.

use fanfare_protocol::Refusal;
use serde_json::{Map, Value};

use super::spec::{Field, Spec};

/// Longest name that an error repeats.
const NAME_BYTES_MAX: usize = 64;

/// Refuses the first argument that a command which steers does not have. Others leave out what they do not know, so that clients
/// may be newer than the server.
pub(super) fn check(spec: &Spec, given: &Map<String, Value>) -> Result<(), Refusal> {
    let unknown = given.keys().find(|name| spec.steers() && spec.field(name).is_none());
    unknown.map_or(Ok(()), |name| Err(unknown_argument(spec.fields, name)))
}

/// Names it, and what was perhaps meant.
pub fn unknown_argument(fields: &'static [Field], name: &str) -> Refusal {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    let shown = if is_plain && (1..=NAME_BYTES_MAX).contains(&name.len()) {
        format!("`{name}`")
    } else {
        "an argument".to_owned()
    };
    let nearest = fields.iter().map(|field| field.name).min_by_key(|known| strsim::levenshtein(known, name));
    let hint = nearest
        .map_or_else(|| "this takes no arguments".to_owned(), |known| format!("did you mean `{known}`?"));
    Refusal::invalid(None, None, format!("{shown} is unknown: {hint}"))
}

#[cfg(test)]
mod tests {
    use crate::service::{self, Args};

    fn read(name: &str, body: &str) -> Result<Args, String> {
        let (_, spec) = service::find(name).unwrap();
        let body = fanfare_protocol::Body::Json(body.to_owned().into());
        let given = [("user_id", "ada".to_owned())];
        Args::read(spec, Some(&body), &given).map_err(|refusal| refusal.message)
    }

    #[test]
    fn who_steers_is_told_what_is_unknown() {
        let error = read("access.ban_user", r#"{"secnods": 1}"#).unwrap_err();
        assert_eq!(error, "`secnods` is unknown: did you mean `seconds`?");
        let error = read("access.ban_user", r#"{"MARKER \u202e": 1}"#).unwrap_err();
        assert!(error.starts_with("an argument is unknown"), "{error}");
        assert!(read("access.ban_user", r#"{"seconds": 1}"#).is_ok());
        assert!(read("notification.list", r#"{"from_a_newer_client": 1}"#).is_ok());
    }
}
