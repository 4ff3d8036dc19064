//! What every request must be before anything is made of it: for this server, and readable.

use http::{StatusCode, Uri, header};

use crate::auth;
use crate::http::head::Head;
use crate::http::respond::Response;
use crate::percent;
use crate::process::Process;

/// Paths that are asked for by address, by what looks after the process.
const OF_PROBES: [&str; 3] = ["/healthz", "/readyz", "/metrics"];
/// Longest name of a parameter that an error repeats.
const NAME_BYTES_MAX: usize = 64;

/// Checks a request.
///
/// # Errors
/// Why it is refused, for metrics and for who asks.
pub(super) fn check(process: &Process, head: &Head) -> Result<(), (&'static str, Response)> {
    let named = head.uri.authority().map(|authority| authority.as_str());
    let host = named.or_else(|| head.headers.get(header::HOST).map(|host| host.to_str().unwrap_or("\u{0}")));
    if !OF_PROBES.contains(&head.uri.path()) && !auth::origin::is_for_us(host, &process.live().config) {
        let message = "`Host` names another server than this one; auth.hosts lists those that it answers for";
        return Err(("host", Response::error(StatusCode::MISDIRECTED_REQUEST, message)));
    }
    if let Some(part) = unreadable(&head.uri) {
        let message = format!("{part} is no UTF-8 once its percent-escapes are decoded");
        return Err(("encoding", Response::error(StatusCode::BAD_REQUEST, &message)));
    }
    Ok(())
}

/// The part that holds bytes which are no text: two of them could be taken for one.
fn unreadable(uri: &Uri) -> Option<String> {
    if !percent::is_text(uri.path()) {
        return Some("the path".to_owned());
    }
    let mut pairs = uri.query().unwrap_or_default().split('&');
    let pair = pairs.find(|pair| !percent::is_text(pair))?;
    let name = pair.split_once('=').map_or("", |(name, _)| name);
    let is_plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let is_known = !name.is_empty() && name.len() <= NAME_BYTES_MAX && is_plain(name);
    Some(if is_known { format!("`{name}`") } else { "the query".to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_are_no_text_are_named() {
        let part = |text: &str| unreadable(&text.parse().unwrap());
        assert_eq!(part("/v1/rooms/%E2%82%AC?a=%41&b=100%"), None);
        assert_eq!(part("/v1/rooms/%FF").as_deref(), Some("the path"));
        assert_eq!(part("/v1/ws?a=1&client_id=a%ffb").as_deref(), Some("`client_id`"));
        assert_eq!(part("/v1/ws?%ff=1").as_deref(), Some("the query"));
        assert_eq!(part("/v1/ws?a=%C3&b=%A9").as_deref(), Some("`a`"));
    }
}
