//! Paths of a profile, with parameters in braces.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value};

/// A path's parts.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    text: Box<str>,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(Box<str>),
    Parameter(Box<str>),
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What belongs to the engine.
const OWN: [&str; 7] = ["", "v1", "healthz", "readyz", "metrics", "dev", "console"];

impl Path {
    /// Takes a path.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix('/').ok_or("must begin with a slash")?;
        let part = |part: &str| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(name) => Part::Parameter(name.into()),
            None => Part::Literal(part.into()),
        };
        let parts: Vec<Part> = rest.split('/').map(part).collect();
        let mut names = BTreeSet::new();
        for part in &parts {
            let is_whole = match part {
                Part::Literal(text) => !text.contains(['{', '}']),
                Part::Parameter(name) => !name.is_empty() && !name.contains(['{', '}']),
            };
            if !is_whole {
                return Err("must have parameters like {id}, each a whole part".to_owned());
            }
            if let Part::Parameter(name) = part
                && !names.insert(name)
            {
                return Err(format!("has the parameter {{{name}}} twice"));
            }
        }
        if let Some(Part::Literal(first)) = parts.first().filter(|part| is_own(part)) {
            return Err(format!("is the engine's own: /{first}"));
        }
        Ok(Self { text: text.into(), parts })
    }

    /// The parameters, where a path in decoded parts fits.
    pub(crate) fn fit(&self, parts: &[&str]) -> Option<Value> {
        if self.parts.len() != parts.len() {
            return None;
        }
        let mut given = Map::new();
        for (part, text) in self.parts.iter().zip(parts) {
            match part {
                Part::Literal(literal) if **literal == **text => {}
                Part::Literal(_) => return None,
                Part::Parameter(_) if text.is_empty() => return None,
                Part::Parameter(name) => {
                    given.insert(name.to_string(), (*text).into());
                }
            }
        }
        Some(given.into())
    }

    /// Whether both take the same paths, and neither comes before the other.
    pub(crate) fn clashes(&self, other: &Self) -> bool {
        let same = |(a, b): (&Part, &Part)| match (a, b) {
            (Part::Literal(a), Part::Literal(b)) => a == b,
            (Part::Parameter(_), Part::Parameter(_)) => true,
            _ => false,
        };
        self.parts.len() == other.parts.len() && self.parts.iter().zip(&other.parts).all(same)
    }

    /// Lower ones are looked at first: a literal part comes before a parameter, from the left.
    pub(crate) fn rank(&self) -> Vec<bool> {
        self.parts.iter().map(|part| matches!(part, Part::Parameter(_))).collect()
    }
}

fn is_own(part: &Part) -> bool {
    matches!(part, Part::Literal(literal) if OWN.contains(&&**literal) || **literal == *"echo")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_fit_and_clash_as_they_should() {
        let path = |text| Path::parse(text).unwrap();
        assert_eq!(path("/ws/{id}/health").fit(&["ws", "c1", "health"]), Some(json!({"id": "c1"})));
        assert_eq!(path("/ws/{id}").fit(&["ws", ""]), None);
        assert_eq!(path("/ws/health").fit(&["ws", "chat"]), None);
        assert!(path("/ws/{a}").clashes(&path("/ws/{b}")) && !path("/ws/{a}").clashes(&path("/ws/health")));
        assert!(path("/ws/health").rank() < path("/ws/{a}").rank());
        for own in [
            "/",
            "/v1/ws",
            "/metrics",
            "/echo",
            "ws",
            "/x/{id/s",
            "/x/a{id}",
            "/y/{}",
            "/y/{a}/{a}",
            "/y/{{a}}",
        ] {
            assert!(Path::parse(own).is_err(), "{own}");
        }
    }
}
