//! Keys of the HTTP API: only their hashes are known.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::config::{ApiKey, Auth};

/// The configured keys.
#[derive(Debug)]
pub struct ApiKeys {
    keys: Vec<ApiKey>,
}

impl ApiKeys {
    /// Takes them from the configuration.
    pub fn new(auth: &Auth) -> Self {
        Self { keys: auth.api_keys.clone() }
    }

    /// The key that was presented. How long this takes tells nothing about the keys.
    pub fn check(&self, presented: &str) -> Option<&ApiKey> {
        let sha256 = Sha256::digest(presented.as_bytes());
        let mut found = None;
        for key in &self.keys {
            if bool::from(key.sha256.ct_eq(&sha256)) {
                found = Some(key);
            }
        }
        found
    }

    /// Whether a key still counts.
    pub fn has(&self, key: &ApiKey) -> bool {
        self.keys.contains(key)
    }
}
