//! Tokens that were verified a moment ago. Checking an ES256 signature takes a fifth of a millisecond, and a
//! herd that reconnects shows the same tokens again.

use std::collections::{HashMap, VecDeque};

use jsonwebtoken::Algorithm;
use sha2::{Digest, Sha256};

use super::verifier::read_header;
use super::{AuthError, AuthReason, Claims, Verifier};

/// Tokens that one thread remembers.
const TOKENS_MAX: usize = 4_096;

type Hash = [u8; 32];

/// One thread's memory of good tokens, by hash; the oldest makes place.
#[derive(Debug, Default)]
pub struct VerifiedCache {
    claims: HashMap<Hash, Claims>,
    order: VecDeque<Hash>,
    /// Of which verifier.
    generation: u64,
}

impl VerifiedCache {
    /// Checks a token, or remembers that it was good; it must not have expired since.
    ///
    /// # Errors
    /// As [`Verifier::verify`].
    pub fn verify(&mut self, verifier: &Verifier, token: &str, now_unix_s: u64) -> Result<Claims, AuthError> {
        // With a shared secret, checking is as fast as looking up.
        if matches!(read_header(token)?.alg, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512) {
            return verifier.verify(token, now_unix_s);
        }
        if std::mem::replace(&mut self.generation, verifier.generation()) != verifier.generation() {
            // Other keys may count now.
            self.claims.clear();
            self.order.clear();
        }
        let hash: Hash = Sha256::digest(token.as_bytes()).into();
        if let Some(claims) = self.claims.get(&hash) {
            if claims.expires_at_unix_s.saturating_add(verifier.leeway_s()) <= now_unix_s {
                return Err(AuthError::new(AuthReason::Expired, "the token has expired"));
            }
            return Ok(claims.clone());
        }
        let claims = verifier.verify(token, now_unix_s)?;
        if self.order.len() == TOKENS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.claims.remove(&oldest);
        }
        self.order.push_back(hash);
        self.claims.insert(hash, claims.clone());
        Ok(claims)
    }
}
