//! Which pages may connect (RFC 6455 §10.2): browsers send `Origin`, and a page of another site must not use
//! its visitor's access.

use http::Uri;

use crate::config::Config;

/// Whether a request with these headers may be upgraded. Programs send no `Origin` and may. `besides` are origins that may
/// connect at this path alone.
pub fn allowed(origin: Option<&str>, host: Option<&str>, config: &Config, besides: &[String]) -> bool {
    let Some(origin) = origin else { return true };
    if config.auth.allowed_origins.iter().chain(besides).any(|allowed| same(allowed, origin)) {
        return true;
    }
    let Some(parts) = Parts::of(origin) else { return false };
    if config.development {
        return is_loopback(&parts.host);
    }
    // The server's own page. A browser cannot be made to send a false Host.
    host.is_some_and(|host| Parts::of(&format!("{}://{host}", parts.scheme)).is_some_and(|own| own == parts))
}

/// Whether a request with this `Host` is meant for this server. A page of another site can have its own name lead here, and would be
/// taken for this server's own page.
pub fn is_for_us(host: Option<&str>, config: &Config) -> bool {
    let hosts = &config.auth.hosts;
    // Browsers always send it.
    let Some(host) = host.filter(|_| config.development || !hosts.is_empty()) else { return true };
    let Some(parts) = Parts::of(&format!("http://{host}")) else { return false };
    hosts.contains(&parts.host) || (config.development && is_loopback(&parts.host))
}

/// Whether this is a host's name or address, as `Host` has it without the port.
pub fn is_host(text: &str) -> bool {
    Parts::of(&format!("http://{text}")).is_some_and(|parts| parts.host == text.to_ascii_lowercase())
}

fn same(one: &str, other: &str) -> bool {
    match (Parts::of(one), Parts::of(other)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// What two origins must have in common (RFC 6454 §4).
#[derive(Debug, PartialEq, Eq)]
struct Parts {
    scheme: String,
    host: String,
    port: u16,
}

impl Parts {
    /// `null` and everything with more to it than an origin has is none.
    fn of(origin: &str) -> Option<Self> {
        let uri: Uri = origin.parse().ok()?;
        let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
        let default = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        if authority.as_str().contains('@')
            || uri.path() != "/"
            || uri.query().is_some()
            || origin.ends_with('/')
        {
            return None;
        }
        let port = match authority.port() {
            Some(port) => port.as_str().parse().ok()?,
            None => default,
        };
        Some(Self { scheme: scheme.to_owned(), host: authority.host().to_ascii_lowercase(), port })
    }
}
