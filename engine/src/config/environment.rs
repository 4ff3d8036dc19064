//! What the environment sets and is no setting: a limit that is misspelt there would count for nothing, without a word.

use std::collections::BTreeSet;

use super::problem::Problem;

const PREFIX: &str = "FANFARE_";

/// Those of the `given` variables that belong to a section of the configuration and were not among the `asked` ones. Others that
/// begin like ours may be anybody's: an orchestrator sets `FANFARE_PORT` where the service is called so.
pub(super) fn unknown(given: impl Iterator<Item = String>, asked: &BTreeSet<String>) -> Vec<Problem> {
    let is_unknown = |name: &String| {
        let in_section = section(name).is_some_and(|of| asked.iter().any(|known| section(known) == Some(of)));
        in_section && !asked.contains(name)
    };
    let problem = |name: String| {
        let nearest = asked.iter().min_by_key(|known| strsim::levenshtein(known, &name));
        let hint = nearest.map(|known| format!(", did you mean `{known}`?")).unwrap_or_default();
        Problem { place: name, message: format!("unknown setting{hint}") }
    };
    given.filter(is_unknown).map(problem).collect()
}

/// `LIMITS` of `FANFARE_LIMITS_BURST`.
fn section(name: &str) -> Option<&str> {
    name.strip_prefix(PREFIX)?.split_once('_').map(|(section, _)| section)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_section_has_is_named() {
        let asked = ["FANFARE_LISTEN", "FANFARE_LIMITS_BURST", "FANFARE_LIMITS_CONNECTIONS"];
        let asked = asked.map(str::to_owned).into();
        let given = [
            "FANFARE_LIMITS_CONECTIONS",
            "FANFARE_LIMITS_BURST",
            "FANFARE_PORT",
            "FANFARE_SERVICE_HOST",
            "FANFARE_LISTEN",
            "PATH",
        ];
        let found = unknown(given.map(str::to_owned).into_iter(), &asked);
        let [Problem { place, message }] = &found[..] else { panic!("{found:?}") };
        assert_eq!(place, "FANFARE_LIMITS_CONECTIONS");
        assert_eq!(message, "unknown setting, did you mean `FANFARE_LIMITS_CONNECTIONS`?");
    }
}
