//! `fanfare token`: tokens for trying out and for scripts, and keys for the HTTP API.

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fanfare_protocol::DEVELOPMENT_SECRET;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::cli::TokenArgs;
use crate::config::{Config, Material};

/// Prints the token. Exit code 2: none could be made.
pub fn run(args: &TokenArgs) -> ExitCode {
    let made = match (&args.api_key, &args.user) {
        (Some(name), _) => api_key(name),
        (None, Some(user)) => token(args, user),
        (None, None) => Err("--user is missing".to_owned()),
    };
    match made {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("fanfare: {message}");
            ExitCode::from(2)
        }
    }
}

fn token(args: &TokenArgs, user: &str) -> Result<String, String> {
    let config = Config::read(args.config.as_deref(), &|_| None).map_err(|error| error.to_string())?;
    let mut header = Header::new(Algorithm::HS256);
    let shared = config.auth.keys.iter().find_map(|key| match &key.material {
        Material::Shared(secret) => Some((key.algorithm, key.id.clone(), secret.0.clone())),
        Material::Public(_) => None,
    });
    let secret = match shared {
        Some((algorithm, id, secret)) => {
            (header.alg, header.kid) = (algorithm, id);
            secret
        }
        None if config.development => DEVELOPMENT_SECRET.into(),
        None => {
            return Err(
                "the configuration has public keys only; tokens are signed by whoever has a private key"
                    .into(),
            );
        }
    };
    let mut claims: Map<String, Value> = args.claims.iter().cloned().collect();
    if !args.rooms.is_empty() {
        claims.insert("rooms".into(), args.rooms.clone().into());
    }
    for (name, configured) in [("aud", &config.auth.audience), ("iss", &config.auth.issuer)] {
        if let Some(first) = configured.first() {
            claims.entry(name).or_insert_with(|| first.clone().into());
        }
    }
    sign(&header, &secret, claims, user, &args.role, args.ttl)
}

/// A token of development mode.
///
/// # Errors
/// The signature could not be made.
pub fn development(user: &str, role: &str, ttl_s: u64) -> Result<String, String> {
    let ttl = Duration::from_secs(ttl_s);
    sign(&Header::new(Algorithm::HS256), DEVELOPMENT_SECRET.as_bytes(), Map::new(), user, role, ttl)
}

fn sign(
    header: &Header,
    secret: &[u8],
    mut claims: Map<String, Value>,
    user: &str,
    role: &str,
    ttl: Duration,
) -> Result<String, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut given = |name: &str, value: Value| {
        claims.entry(name).or_insert(value);
    };
    given("sub", user.into());
    given("role", role.into());
    given("iat", now.into());
    given("exp", now.saturating_add(ttl.as_secs()).into());
    jsonwebtoken::encode(header, &claims, &EncodingKey::from_secret(secret))
        .map_err(|error| error.to_string())
}

/// A random key and the entry of the configuration that accepts it.
fn api_key(name: &str) -> Result<String, String> {
    use std::io::Read;
    let mut random = [0; 32];
    let mut source = std::fs::File::open("/dev/urandom").map_err(|error| format!("/dev/urandom: {error}"))?;
    source.read_exact(&mut random).map_err(|error| format!("/dev/urandom: {error}"))?;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let key = hex(&random);
    let sha256 = hex(&Sha256::digest(key.as_bytes()));
    let name = Value::from(name);
    Ok(format!(
        "{key}\n\n# for the configuration; the key itself is never in it\n[[auth.api_key]]\nname = {name}\nsha256 = \"{sha256}\""
    ))
}
