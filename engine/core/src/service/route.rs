//! From an HTTP path to a command.

use super::commands;
use super::spec::Spec;

/// What a path leads to.
#[derive(Debug)]
pub struct Path {
    /// The command.
    pub spec: &'static Spec,
    /// The room in the path.
    pub room: Option<String>,
    /// The arguments in the path.
    pub args: Vec<(&'static str, String)>,
}

/// Finds the command for a path in decoded parts (`v1` left out).
///
/// # Errors
/// The methods that would do; none where nothing is at this path.
pub fn route(method: &str, parts: &[&str]) -> Result<Path, Vec<&'static str>> {
    let mut allowed = Vec::new();
    for spec in commands() {
        let Some(args) = fit(spec, parts) else { continue };
        if spec.method.name() != method && !(method == "HEAD" && spec.method.name() == "GET") {
            allowed.push(spec.method.name());
            continue;
        }
        let (mut room, mut rest) = (None, Vec::new());
        for (name, value) in args {
            if name == "room" { room = Some(value) } else { rest.push((name, value)) }
        }
        return Ok(Path { spec, room, args: rest });
    }
    Err(allowed)
}

fn fit(spec: &Spec, parts: &[&str]) -> Option<Vec<(&'static str, String)>> {
    let pattern = spec.path.strip_prefix("/v1/").expect("invariant: every path begins so").split('/');
    let mut parts = parts.iter();
    let mut args = Vec::new();
    for piece in pattern {
        let part = parts.next()?;
        match piece.strip_prefix('{').and_then(|piece| piece.strip_suffix('}')) {
            Some(name) => args.push((name, (*part).to_owned())),
            None if piece == *part => {}
            None => return None,
        }
    }
    parts.next().is_none().then_some(args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_its_command() {
        let path = route("PUT", &["rooms", "a:1", "polls", "p", "vote"]).unwrap();
        assert_eq!((path.spec.name, path.room.as_deref()), ("poll.vote", Some("a:1")));
        assert_eq!(path.args, [("poll_id", "p".to_owned())]);
        assert_eq!(route("DELETE", &["rooms", "a:1", "polls", "p", "vote"]).unwrap_err(), ["PUT"]);
        assert!(route("GET", &["rooms", "a:1", "nothing"]).unwrap_err().is_empty());
        assert!(route("GET", &[]).unwrap_err().is_empty());
    }
}
