//! What the environment sets and is no setting: a limit that is misspelt there would count for nothing, without a word.

use std::collections::BTreeSet;

use super::problem::Problem;

/// Every setting, as an operator sees them.
const REFERENCE: &str = include_str!("../../fanfare.example.toml");

const PREFIX: &str = "FANFARE_";

/// Secrets are not in the file, or rather in one of their own.
const BESIDE: [&str; 3] = ["FANFARE_AUTH_SECRET", "FANFARE_AUTH_SECRET_FILE", "FANFARE_HOOKS_SECRET"];

/// Those variables that belong to a section of the configuration and to none of its settings. Others that begin like ours may be
/// anybody's.
pub(super) fn unknown(given: impl Iterator<Item = String>) -> Vec<Problem> {
    let known = known();
    let is_unknown = |name: &String| {
        let in_section = section(name).is_some_and(|of| known.iter().any(|known| section(known) == Some(of)));
        in_section && !known.contains(name) && !is_of_orchestrator(name)
    };
    let problem = |name: String| {
        let nearest = known.iter().min_by_key(|known| strsim::levenshtein(known, &name));
        let hint = nearest.map(|known| format!(", did you mean `{known}`?")).unwrap_or_default();
        Problem { place: name, message: format!("unknown setting{hint}") }
    };
    given.filter(is_unknown).map(problem).collect()
}

/// The variables of all settings that have one: those of lists have none.
fn known() -> BTreeSet<String> {
    let mut known: BTreeSet<String> = BESIDE.map(str::to_owned).into();
    let mut section = Some("");
    for line in REFERENCE.lines() {
        let line = line.strip_prefix("# ").unwrap_or(line);
        if line.starts_with("[[") {
            section = None;
        } else if let Some(name) = line.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
            section = Some(name);
        } else if let (Some(section), Some((key, value))) = (section, line.split_once(" = ")) {
            let is_key = key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            let section = if section.is_empty() { String::new() } else { format!("{section}_") };
            let variable = |key: &str| format!("{PREFIX}{section}{key}").to_uppercase();
            match value.strip_prefix("{ ") {
                // A small table has a variable for each of its keys.
                Some(inner) => {
                    let keys = inner.split(", ").filter_map(|part| part.split_once(" = "));
                    known.extend(keys.map(|(inner, _)| variable(&format!("{key}_{inner}"))));
                }
                None => known.extend(is_key.then(|| variable(key))),
            }
        }
    }
    known
}

/// `LIMITS` of `FANFARE_LIMITS_BURST`.
fn section(name: &str) -> Option<&str> {
    name.strip_prefix(PREFIX)?.split_once('_').map(|(section, _)| section)
}

/// What Kubernetes and Docker links set in each process beside a service that is called, for example, `fanfare-store`.
fn is_of_orchestrator(name: &str) -> bool {
    let is_port = |rest: &str| rest.is_empty() || rest.starts_with('_');
    ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT"]
        .iter()
        .any(|mark| name.match_indices(mark).any(|(at, _)| is_port(&name[at + mark.len()..])))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::config::Config;

    #[test]
    fn what_no_section_has_is_named() {
        let given = [
            "FANFARE_LIMITS_CONECTIONS",
            "FANFARE_LIMITS_BURST",
            "FANFARE_STORE_PATH",
            "FANFARE_HOOKS_TIMEOUT",
            "FANFARE_AUTH_SECRET",
            "FANFARE_PORT",
            "FANFARE_SERVICE_HOST",
            "FANFARE_STORE_SERVICE_HOST",
            "FANFARE_AUDIT_PORT_9090_TCP",
            "FANFARE_LISTEN",
            "PATH",
        ];
        let found = unknown(given.map(str::to_owned).into_iter());
        let [Problem { place, message }] = &found[..] else { panic!("{found:?}") };
        assert_eq!(place, "FANFARE_LIMITS_CONECTIONS");
        assert_eq!(message, "unknown setting, did you mean `FANFARE_LIMITS_CONNECTIONS`?");
    }

    #[test]
    fn whatever_is_asked_for_is_known() {
        let asked = RefCell::new(Vec::new());
        let hooks = "[hooks]\nask = [\"join\"]\nurl = \"http://127.0.0.1:1/\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n";
        let ask = |name: &str| {
            asked.borrow_mut().push(name.to_owned());
            None
        };
        Config::parse(hooks, &|_| None, &ask).unwrap();
        let (asked, known) = (asked.into_inner(), known());
        assert!(asked.len() > 80, "{}", asked.len());
        let lacks: Vec<&String> =
            asked.iter().filter(|name| section(name).is_some() && !known.contains(*name)).collect();
        assert!(lacks.is_empty(), "the example has not: {lacks:?}");
    }
}
