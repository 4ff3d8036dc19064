//! `[auth]`: keys, origins, roles.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use fanfare_protocol::DEVELOPMENT_SECRET;
use jsonwebtoken::{Algorithm, DecodingKey};

use super::problem::Problems;
use super::section::Section;
use crate::auth::origin::is_host;

/// RFC 7518 §3.2: a key at least as long as the hash's output.
const SECRET_BYTES_MIN: usize = 32;
const KEYS_MAX: usize = 32;

/// Who may come in.
#[derive(Clone, Debug)]
pub struct Auth {
    /// How far clocks may differ.
    pub leeway: Duration,
    /// When not empty: a token's `aud` must name one of these.
    pub audience: Vec<String>,
    /// When not empty: a token's `iss` must be one of these.
    pub issuer: Vec<String>,
    /// Keys that tokens may be signed with; none: development mode.
    pub keys: Vec<Key>,
    /// Origins of pages that may connect: `https://app.example`. The page that the server itself shows may.
    pub allowed_origins: Vec<String>,
    /// When not empty: requests must name one of these as their `Host`, in lower case and without a port.
    pub hosts: Vec<String>,
    /// Keys of backends.
    pub api_keys: Vec<ApiKey>,
    /// Roles whose tokens may use the HTTP API.
    pub api_roles: Vec<String>,
    /// Roles that may publish to users, roles, clients and all.
    pub broadcast_roles: Vec<String>,
    /// Who may read `/metrics`.
    pub metrics: Scrapers,
}

/// Who may read `/metrics`. Whoever may use the HTTP API may in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scrapers {
    /// Who asks from this machine, and not through a proxy that says so.
    #[default]
    Local,
    /// Nobody else.
    Key,
    /// Everybody.
    All,
}

/// A key that tokens may be signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The only algorithm it is used with, whatever a token's header says.
    pub algorithm: Algorithm,
    /// The `kid` of tokens that it signs, if they have one.
    pub id: Option<String>,
    /// The key itself.
    pub material: Material,
}

/// What a signature is checked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Material {
    /// Known to who signs and who checks.
    Shared(Secret),
    /// A public key in PEM.
    Public(Vec<u8>),
}

/// Bytes that are never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// A backend's key for the HTTP API; only its hash is known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Who it is for; appears in the audit log.
    pub name: String,
    /// SHA-256 of the key.
    pub sha256: [u8; 32],
}

/// Reads `[auth]`.
pub(super) fn read(
    mut section: Section<'_>,
    env: &dyn Fn(&str) -> Option<String>,
    problems: &Problems,
) -> Auth {
    let leeway = section.duration("leeway", Duration::from_secs(5), 0..=300_000);
    let audience = section.texts("audience", &[]);
    let issuer = section.texts("issuer", &[]);
    let allowed_origins = section.texts("allowed_origins", &[]);
    for origin in &allowed_origins {
        if !is_origin(origin) {
            let message = format!(
                "`{origin}` must be scheme://host or scheme://host:port, without a path: https://app.example"
            );
            section.problem("allowed_origins", message);
        }
    }
    let mut hosts = section.texts("hosts", &[]);
    if !hosts.iter().all(|host| is_host(host)) {
        section.problem("hosts", "must be names or addresses without a port: app.example".to_owned());
    }
    hosts.iter_mut().for_each(|host| host.make_ascii_lowercase());
    let api_roles = section.texts("api_roles", &["admin", "service"]);
    let broadcast_roles = section.roles("broadcast_roles", &["admin", "service"]);
    let scrapers = [("local", Scrapers::Local), ("key", Scrapers::Key), ("all", Scrapers::All)];
    let metrics = section.choice("metrics", Scrapers::Local, &scrapers);
    let mut keys: Vec<Key> = section.sections("key").into_iter().filter_map(key).collect();
    keys.extend(key_from_environment(env, problems));
    if keys.len() > KEYS_MAX {
        section.problem("key", format!("there may be at most {KEYS_MAX}"));
    }
    for (at, key) in keys.iter().enumerate() {
        if key.id.is_some() && keys[..at].iter().any(|other| other.id == key.id) {
            section.problem("key", "two keys have the same id");
        }
    }
    let api_keys: Vec<ApiKey> = section.sections("api_key").into_iter().filter_map(api_key).collect();
    for (at, key) in api_keys.iter().enumerate() {
        if api_keys[..at].iter().any(|other| other.name == key.name) {
            section.problem("api_key", format!("two API keys have the name `{}`", key.name));
        }
    }
    section.finish();
    Auth {
        leeway,
        audience,
        issuer,
        keys,
        allowed_origins,
        hosts,
        api_keys,
        api_roles,
        broadcast_roles,
        metrics,
    }
}

fn key(mut section: Section<'_>) -> Option<Key> {
    let rule = "must be one of \"HS256\", \"HS384\", \"HS512\", \"RS256\", \"ES256\", \"EdDSA\"";
    let algorithm = section.parsed("algorithm", None, rule, |text| match text {
        "HS256" => Some(Some(Algorithm::HS256)),
        "HS384" => Some(Some(Algorithm::HS384)),
        "HS512" => Some(Some(Algorithm::HS512)),
        "RS256" => Some(Some(Algorithm::RS256)),
        "ES256" => Some(Some(Algorithm::ES256)),
        "EdDSA" => Some(Some(Algorithm::EdDSA)),
        _ => None,
    });
    let id = section.text("id");
    let secret = section.text("secret");
    let secret_file = section.text("secret_file");
    let public_key_file = section.text("public_key_file");
    let found = match algorithm {
        None => Err(("algorithm", "is required".to_owned())),
        Some(algorithm) if is_shared(algorithm) => match (secret, secret_file, public_key_file) {
            (Some(secret), None, None) => shared("secret", secret),
            (None, Some(path), None) => load(&path).map_or_else(
                |message| Err(("secret_file", message)),
                |secret| {
                    section.note_content("secret_file", secret.as_bytes());
                    shared("secret_file", secret.trim_end().to_owned())
                },
            ),
            _ => Err((
                "secret",
                "exactly one of `secret` and `secret_file` is required for an HS algorithm".into(),
            )),
        },
        Some(algorithm) => match (secret, secret_file, public_key_file) {
            (None, None, Some(path)) => public(algorithm, &path).inspect(|material| {
                if let Material::Public(pem) = material {
                    section.note_content("public_key_file", pem);
                }
            }),
            _ => Err((
                "public_key_file",
                "`public_key_file`, and it alone, is required for this algorithm".into(),
            )),
        },
    };
    let found = found.map_err(|(field, message)| section.problem(field, message)).ok();
    section.finish();
    Some(Key { algorithm: algorithm?, id, material: found? })
}

const fn is_shared(algorithm: Algorithm) -> bool {
    matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512)
}

type Found = Result<Material, (&'static str, String)>;

fn shared(field: &'static str, secret: String) -> Found {
    if secret.len() < SECRET_BYTES_MIN {
        let message = format!(
            "must be at least {SECRET_BYTES_MIN} bytes long (RFC 7518 §3.2); make one with `openssl rand -hex 32`"
        );
        return Err((field, message));
    }
    if secret == DEVELOPMENT_SECRET {
        return Err((field, "is the development secret, which everybody knows".into()));
    }
    Ok(Material::Shared(Secret(secret.into_bytes())))
}

fn public(algorithm: Algorithm, path: &str) -> Found {
    let field = "public_key_file";
    let pem = load(path).map_err(|message| (field, message))?.into_bytes();
    let read = match algorithm {
        Algorithm::RS256 => DecodingKey::from_rsa_pem(&pem),
        Algorithm::ES256 => DecodingKey::from_ec_pem(&pem),
        _ => DecodingKey::from_ed_pem(&pem),
    };
    let private = pem.windows(7).any(|window| window == b"PRIVATE");
    match read {
        Ok(_) if !private => Ok(Material::Public(pem)),
        _ => Err((field, format!("`{path}` must be a public key in PEM that fits {algorithm:?}"))),
    }
}

pub(super) fn load(path: &str) -> Result<String, String> {
    std::fs::read_to_string(Path::new(path)).map_err(|error| format!("`{path}` cannot be read: {error}"))
}

/// `FANFARE_AUTH_SECRET`, or a file that `FANFARE_AUTH_SECRET_FILE` names: an HS256 key without a file of
/// configuration, as containers want it.
fn key_from_environment(env: &dyn Fn(&str) -> Option<String>, problems: &Problems) -> Option<Key> {
    let (name, secret) = match (env("FANFARE_AUTH_SECRET"), env("FANFARE_AUTH_SECRET_FILE")) {
        (Some(secret), _) => ("FANFARE_AUTH_SECRET", Ok(secret)),
        (None, Some(path)) => {
            ("FANFARE_AUTH_SECRET_FILE", load(&path).map(|secret| secret.trim_end().to_owned()))
        }
        (None, None) => return None,
    };
    if let Ok(secret) = &secret {
        problems.given.borrow_mut().note_content(name, secret.as_bytes());
    }
    let material = secret.and_then(|secret| shared("secret", secret).map_err(|(_, message)| message));
    let material = material.map_err(|message| problems.add(name, message)).ok()?;
    Some(Key { algorithm: Algorithm::HS256, id: None, material })
}

fn api_key(mut section: Section<'_>) -> Option<ApiKey> {
    let name = section.text("name");
    let rule =
        "must be the SHA-256 of the key, as 64 hexadecimal digits; `fanfare token --api-key` makes both";
    let sha256 = section.parsed("sha256", None, rule, |text| hex(text).map(Some));
    if name.is_none() {
        section.problem("name", "is required");
    }
    if sha256.is_none() {
        section.problem("sha256", rule);
    }
    section.finish();
    Some(ApiKey { name: name?, sha256: sha256? })
}

fn hex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

/// Whether this is an origin as browsers send it (RFC 6454 §6.2).
pub(super) fn is_origin(text: &str) -> bool {
    let uri: Result<http::Uri, _> = text.parse();
    let Ok(uri) = uri else { return false };
    let whole =
        uri.scheme().is_some() && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    whole && !text.ends_with('/') && uri.path() == "/" && uri.query().is_none()
}
