//! Checking tokens. A key is used with its own algorithm only; a token's header merely chooses among the keys
//! that are configured (RFC 8725 §3.1).

use fanfare_protocol::DEVELOPMENT_SECRET;
use fanfare_protocol::limits::TOKEN_BYTES_MAX;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};

use super::claims::Written;
use super::{AuthError, AuthReason, Claims};
use crate::config::{Auth, Key, Material, Secret};

/// Every key that tokens may be signed with.
pub struct Verifier {
    keys: Vec<Ready>,
    audience: Vec<String>,
    issuer: Vec<String>,
    leeway_s: u64,
    /// Rises with each that takes the place of another.
    generation: u64,
}

/// A key with all that checking needs, made once.
struct Ready {
    /// What connections know it by: a key keeps its number, and no other gets it while it is there.
    number: u16,
    of: Key,
    key: DecodingKey,
    validation: Validation,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl Verifier {
    /// Takes the configured keys; with none, the development secret.
    ///
    /// # Panics
    /// A key cannot be read: the configuration's check has read each.
    pub fn new(auth: &Auth) -> Self {
        Self::of(auth, &[], 0)
    }

    /// One that takes this one's place: keys that are in both keep their numbers.
    ///
    /// # Panics
    /// As [`Verifier::new`].
    #[must_use]
    pub fn renewed(&self, auth: &Auth) -> Self {
        Self::of(auth, &self.keys, self.generation + 1)
    }

    fn of(auth: &Auth, before: &[Ready], generation: u64) -> Self {
        let development = || {
            let secret = Secret(DEVELOPMENT_SECRET.into());
            Key { algorithm: Algorithm::HS256, id: None, material: Material::Shared(secret) }
        };
        let mut wanted = auth.keys.clone();
        if wanted.is_empty() {
            wanted.push(development());
        }
        let mut keys: Vec<Ready> = Vec::new();
        for key in wanted {
            let same = before.iter().find(|of| of.of == key).map(|of| of.number);
            let is_free = |number: &u16| before.iter().chain(&keys).all(|of| of.number != *number);
            let number = same.or_else(|| (1..=u16::MAX).find(is_free));
            let number = number.expect("invariant: there are far fewer keys");
            keys.push(ready(number, key));
        }
        Self {
            generation,
            keys,
            audience: auth.audience.clone(),
            issuer: auth.issuer.clone(),
            leeway_s: auth.leeway.as_secs(),
        }
    }

    /// The numbers of keys that another one has and this one has not.
    pub fn misses(&self, other: &Self) -> Vec<u16> {
        let all = other.keys.iter().map(|key| key.number);
        all.filter(|number| self.keys.iter().all(|key| key.number != *number)).collect()
    }

    /// The numbers of the keys under an id.
    pub fn numbers(&self, id: &str) -> Vec<u16> {
        let named = self.keys.iter().filter(|key| key.of.id.as_deref() == Some(id));
        named.map(|key| key.number).collect()
    }

    /// The id of the key with a number.
    pub fn key_id(&self, number: u16) -> Option<&str> {
        self.keys.iter().find(|key| key.number == number)?.of.id.as_deref()
    }

    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    /// How far clocks may differ, in seconds.
    pub(super) fn leeway_s(&self) -> u64 {
        self.leeway_s
    }

    /// Checks a token.
    ///
    /// # Errors
    /// Why it is not accepted.
    pub fn verify(&self, token: &str, now_unix_s: u64) -> Result<Claims, AuthError> {
        let header = read_header(token)?;
        let mut candidates = self.keys.iter().filter(|key| key.of.algorithm == header.alg).peekable();
        if candidates.peek().is_none() {
            return Err(AuthError::new(
                AuthReason::Algorithm,
                "no key is configured for the token's algorithm",
            ));
        }
        // A token that names its key is checked with that one only.
        let named = |key: &&Ready| header.kid.is_none() || key.of.id.is_none() || key.of.id == header.kid;
        let mut error = AuthError::new(AuthReason::Algorithm, "no key is configured under the token's `kid`");
        for key in candidates.filter(named) {
            match jsonwebtoken::decode::<Written>(token, &key.key, &key.validation) {
                Ok(token) => return self.check(token.claims, key.number, now_unix_s),
                Err(reason) => error = refusal(reason.kind()),
            }
            if error.reason != AuthReason::Signature {
                break;
            }
        }
        Err(error)
    }

    fn check(&self, written: Written, key: u16, now_unix_s: u64) -> Result<Claims, AuthError> {
        if !self.audience.is_empty() && !written.aud.as_ref().is_some_and(|names| names.any(&self.audience)) {
            return Err(AuthError::new(AuthReason::Audience, "the token is for another audience"));
        }
        if !self.issuer.is_empty() && !written.iss.as_ref().is_some_and(|name| self.issuer.contains(name)) {
            return Err(AuthError::new(AuthReason::Issuer, "the token is from another issuer"));
        }
        written.check(key, now_unix_s, self.leeway_s)
    }
}

/// Reads the header, and refuses what must not be looked at any closer.
pub(super) fn read_header(token: &str) -> Result<Header, AuthError> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(AuthError::new(AuthReason::TooLong, "the token is longer than 8,192 bytes"));
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| {
        AuthError::new(AuthReason::Malformed, "this is not a signed JWT of an algorithm known here")
    })?;
    // What a `crit` header asks for is unknown here, and unknown means refused (RFC 7515 §4.1.11).
    let refused = header.crit.is_some() || header.enc.is_some() || header.zip.is_some();
    if refused {
        return Err(AuthError::new(AuthReason::Malformed, "the token's header asks for an extension"));
    }
    Ok(header)
}

fn ready(number: u16, of: Key) -> Ready {
    let made = match (&of.material, of.algorithm) {
        (Material::Shared(secret), _) => Ok(DecodingKey::from_secret(&secret.0)),
        (Material::Public(pem), Algorithm::RS256) => DecodingKey::from_rsa_pem(pem),
        (Material::Public(pem), Algorithm::ES256) => DecodingKey::from_ec_pem(pem),
        (Material::Public(pem), _) => DecodingKey::from_ed_pem(pem),
    };
    let made = made.expect("invariant: the configuration's check has read this key");
    Ready { number, key: made, validation: validation(of.algorithm), of }
}

/// The library checks the signature alone; claims are checked here, against a clock that tests can set.
fn validation(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}

fn refusal(kind: &ErrorKind) -> AuthError {
    match kind {
        ErrorKind::Json(_) | ErrorKind::Utf8(_) => AuthError::new(
            AuthReason::Claims,
            "a claim of the token is missing or of a wrong type: `sub` must be text, `exp` and `nbf` whole numbers, \
             `role` text, `rooms` a list of texts",
        ),
        ErrorKind::InvalidToken | ErrorKind::Base64(_) => {
            AuthError::new(AuthReason::Malformed, "this is not a signed JWT")
        }
        _ => AuthError::new(AuthReason::Signature, "the token's signature is not right"),
    }
}
