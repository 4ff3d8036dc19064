//! `[[webhook]]`: who is told of what happens; `[hooks]`: who is asked before it does.

use std::ops::RangeInclusive;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fanfare_core::{FactKind, RoomPattern};
use fanfare_protocol::DEVELOPMENT_SECRET;

use super::problem::Problems;
use super::section::Section;
use super::security::{Secret, load};

/// As long as the output of the signature's hash.
const SECRET_BYTES_MIN: usize = 32;
/// What libraries of Standard Webhooks write before a key in base64.
const SECRET_PREFIX: &str = "whsec_";
const WEBHOOKS_MAX: usize = 32;
const PATTERNS_MAX: usize = 256;
/// More threads than this would wait for one backend to no end.
const CONCURRENCY: RangeInclusive<u64> = 1..=64;
const QUEUE: RangeInclusive<u64> = 1..=10_000_000;

/// A backend's address, and what requests to it are signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `https://…`, or `http://…` where that was allowed.
    pub url: String,
    /// The key of the signature.
    pub secret: Secret,
}

impl Endpoint {
    /// Scheme, host and port: what may be shown. Paths and queries may hold secrets.
    pub fn origin(&self) -> String {
        let uri: http::Uri = self.url.parse().unwrap_or_default();
        format!("{}://{}", uri.scheme_str().unwrap_or_default(), uri.authority().map_or("", |of| of.as_str()))
    }
}

/// Somebody who is told of what happens.
#[derive(Clone, Debug, PartialEq)]
pub struct Webhook {
    /// Its name in metrics and logs.
    pub name: String,
    /// Where to.
    pub endpoint: Endpoint,
    /// What it is told of.
    pub events: Vec<FactKind>,
    /// Of published messages, those of these types.
    pub message_types: Vec<RoomPattern>,
    /// Of what happens in rooms, what happens in these.
    pub rooms: Vec<RoomPattern>,
    /// Whether messages go with their `data`.
    pub payload: bool,
    /// For one request and its answer.
    pub timeout: Duration,
    /// How often one batch is tried.
    pub attempts: u32,
    /// Longest wait before the second attempt.
    pub backoff_min: Duration,
    /// Longest wait before any attempt.
    pub backoff_max: Duration,
    /// Events that may wait.
    pub queue: usize,
    /// Bytes of them.
    pub queue_bytes: usize,
    /// Events of one request.
    pub batch: usize,
    /// Requests at a time. With more than one, order is kept per room.
    pub concurrency: usize,
}

/// Somebody who is asked before something is done.
#[derive(Clone, Debug, PartialEq)]
pub struct Hooks {
    /// Where to.
    pub endpoint: Endpoint,
    /// Asked before a connection is welcomed or refreshed.
    pub connect: bool,
    /// Asked before a join.
    pub join: bool,
    /// Asked before a publish.
    pub publish: bool,
    /// Asked about these rooms only.
    pub rooms: Vec<RoomPattern>,
    /// Of messages, asked about those of these types only.
    pub message_types: Vec<RoomPattern>,
    /// For an answer, waiting included.
    pub timeout: Duration,
    /// Without an answer: whether it may be.
    pub allow_unanswered: bool,
    /// Questions that may wait.
    pub queue: usize,
    /// Questions that are on their way at a time.
    pub concurrency: usize,
}

/// Reads `[[webhook]]`.
pub(super) fn webhooks(sections: Vec<Section<'_>>, problems: &Problems) -> Vec<Webhook> {
    let webhooks: Vec<Webhook> = sections.into_iter().filter_map(webhook).collect();
    if webhooks.len() > WEBHOOKS_MAX {
        problems.add("webhook", format!("there may be at most {WEBHOOKS_MAX}"));
    }
    for (at, webhook) in webhooks.iter().enumerate() {
        if webhooks[..at].iter().any(|other| other.name == webhook.name) {
            problems.add("webhook.name", format!("`{}` is there twice", webhook.name));
        }
    }
    webhooks
}

fn webhook(mut section: Section<'_>) -> Option<Webhook> {
    let rule = "must be 1 to 64 of A-Z a-z 0-9 . _ -";
    let name = section.parsed("name", None, rule, |text| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        ((1..=64).contains(&text.len()) && text.bytes().all(allowed)).then(|| Some(text.to_owned()))
    });
    if name.is_none() {
        section.problem("name", "is required");
    }
    let endpoint = endpoint(&mut section);
    if endpoint.is_none() {
        section.problem("url", "`url` and a secret are required");
    }
    let kinds = [
        FactKind::Connected,
        FactKind::Closed,
        FactKind::Joined,
        FactKind::Left,
        FactKind::Published,
        FactKind::Signalled,
    ];
    let events = words(&mut section, "events", &kinds.map(|kind| (kind.name(), kind)));
    let second = Duration::from_secs(1);
    let (backoff_min, backoff_max) = (
        section.duration("backoff_min", second / 2, 1..=3_600_000),
        section.duration("backoff_max", 60 * second, 1..=3_600_000),
    );
    if backoff_min > backoff_max {
        section.problem("backoff_min", "must not be longer than backoff_max");
    }
    let webhook = Webhook {
        name: name.clone().unwrap_or_default(),
        endpoint: endpoint
            .clone()
            .unwrap_or_else(|| Endpoint { url: String::new(), secret: Secret(Vec::new()) }),
        events,
        message_types: patterns(&mut section, "message_types"),
        rooms: patterns(&mut section, "rooms"),
        payload: section.flag("payload", true),
        timeout: section.duration("timeout", 5 * second, 10..=300_000),
        attempts: section.number("attempts", 8, 1..=1_000),
        backoff_min,
        backoff_max,
        queue: section.number("queue", 10_000, QUEUE),
        queue_bytes: section.size("queue_bytes", 64 << 20, 65_536..=1 << 40),
        batch: section.number("batch", 50, 1..=1_000),
        concurrency: section.number("concurrency", 1, CONCURRENCY),
    };
    section.finish();
    name.and(endpoint).map(|_| webhook)
}

/// Reads `[hooks]`.
pub(super) fn hooks(mut section: Section<'_>) -> Option<Hooks> {
    let is_given = !section.is_empty();
    match endpoint(&mut section) {
        Some(endpoint) => Some(asked(section, endpoint)),
        None => {
            if is_given {
                section.problem("url", "`url` and a secret are required");
            }
            None
        }
    }
}

fn asked(mut section: Section<'_>, endpoint: Endpoint) -> Hooks {
    let asked = words(&mut section, "ask", &[("connect", 0), ("join", 1), ("publish", 2)]);
    let hooks = Hooks {
        endpoint,
        connect: asked.contains(&0),
        join: asked.contains(&1),
        publish: asked.contains(&2),
        rooms: patterns(&mut section, "rooms"),
        message_types: patterns(&mut section, "message_types"),
        timeout: section.duration("timeout", Duration::from_secs(1), 10..=30_000),
        allow_unanswered: section.choice("on_failure", false, &[("deny", false), ("allow", true)]),
        queue: section.number("queue", 1_024, QUEUE),
        concurrency: section.number("concurrency", 8, CONCURRENCY),
    };
    section.finish();
    hooks
}

/// A list of a few words, at least one of them.
fn words<T: Copy>(section: &mut Section<'_>, key: &'static str, known: &[(&str, T)]) -> Vec<T> {
    let given = section.texts(key, &[]);
    let found: Option<Vec<T>> =
        given.iter().map(|text| known.iter().find(|(word, _)| word == text).map(|(_, of)| *of)).collect();
    found.filter(|found| !found.is_empty()).unwrap_or_else(|| {
        let words: Vec<_> = known.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        section.problem(key, format!("must name at least one of {} and nothing else", words.join(", ")));
        Vec::new()
    })
}

fn patterns(section: &mut Section<'_>, key: &'static str) -> Vec<RoomPattern> {
    let given = section.texts(key, &["*"]);
    let found: Option<Vec<RoomPattern>> = given.iter().map(|text| RoomPattern::new(text)).collect();
    found.filter(|found| (1..=PATTERNS_MAX).contains(&found.len())).unwrap_or_else(|| {
        section.problem(
            key,
            format!("must be 1 to {PATTERNS_MAX} patterns of 1 to {} characters", RoomPattern::CHARS_MAX),
        );
        Vec::new()
    })
}

/// `url`, `secret` or `secret_file`, `insecure`. Problems are told; nothing is given when something is missing.
fn endpoint(section: &mut Section<'_>) -> Option<Endpoint> {
    let url = section.text("url");
    let insecure = section.flag("insecure", false);
    let secret = section.text("secret");
    let secret_file = section.text("secret_file");
    let (field, secret) = match (secret, secret_file) {
        (Some(secret), None) => ("secret", Ok(secret)),
        (None, Some(path)) => ("secret_file", load(&path).map(|secret| secret.trim_end().to_owned())),
        (None, None) => {
            if url.is_some() {
                section.problem("secret", "`secret` or `secret_file` is required");
            }
            return None;
        }
        (Some(_), Some(_)) => {
            ("secret", Err("only one of `secret` and `secret_file` may be given".to_owned()))
        }
    };
    let secret = secret.and_then(key).map_err(|message| section.problem(field, message)).ok();
    if let Some(message) = url.as_deref().and_then(|url| check_url(url, insecure).err()) {
        section.problem("url", message);
    }
    Some(Endpoint { url: url?, secret: secret.unwrap_or_else(|| Secret(Vec::new())) })
}

/// The bytes of a key: those of the text, or, after `whsec_`, what it says in base64.
fn key(text: String) -> Result<Secret, String> {
    if text == DEVELOPMENT_SECRET {
        return Err("is the development secret, which everybody knows".to_owned());
    }
    let bytes = match text.strip_prefix(SECRET_PREFIX) {
        Some(encoded) => STANDARD.decode(encoded).map_err(|_| "must be base64 after `whsec_`".to_owned())?,
        None => text.into_bytes(),
    };
    if bytes.len() < SECRET_BYTES_MIN {
        return Err(format!(
            "must be at least {SECRET_BYTES_MIN} bytes long; make one with `openssl rand -hex 32`"
        ));
    }
    Ok(Secret(bytes))
}

fn check_url(text: &str, insecure: bool) -> Result<(), &'static str> {
    let rule = "must be https://host/path or http://host/path, without a user and a fragment";
    let uri: http::Uri = text.parse().map_err(|_| rule)?;
    let host = uri.host().filter(|host| !host.is_empty()).ok_or(rule)?;
    if text.contains('#') || uri.authority().is_some_and(|of| of.as_str().contains('@')) {
        return Err(rule);
    }
    match uri.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if insecure || is_loopback(host) => Ok(()),
        Some("http") => {
            Err("is http to another machine: anybody on the way can read it; write https, or insecure = true")
        }
        _ => Err(rule),
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_may_do_without_tls() {
        for good in ["https://a.example/x", "http://127.0.0.1:9/x", "http://localhost", "http://[::1]:80/"] {
            assert_eq!(check_url(good, false), Ok(()), "{good}");
        }
        assert!(check_url("http://10.0.0.1/", false).is_err());
        assert_eq!(check_url("http://10.0.0.1/", true), Ok(()));
        for bad in [
            "",
            "a.example",
            "/x",
            "ftp://a/x",
            "https://u:p@a/x",
            "https://a/x#y",
            "http://127.0.0.1.evil.example",
        ] {
            assert!(check_url(bad, false).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_is_text_or_base64_and_long_enough() {
        assert_eq!(key("x".repeat(32)).unwrap().0, b"x".repeat(32));
        let encoded = format!("whsec_{}", STANDARD.encode([7; 32]));
        assert_eq!(key(encoded).unwrap().0, [7; 32]);
        for bad in [
            "x".repeat(31),
            format!("whsec_{}", STANDARD.encode([7; 31])),
            format!("whsec_{}", "?".repeat(64)),
        ] {
            assert!(key(bad).is_err());
        }
    }
}
