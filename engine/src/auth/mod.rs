//! Authentication: tokens (RFC 7519), API keys, origins.

mod api_key;
mod cache;
mod claims;
mod denials;
mod error;
pub mod origin;
pub mod token;
mod verifier;

pub use api_key::ApiKeys;
pub use cache::VerifiedCache;
pub use claims::Claims;
pub(crate) use claims::token_id;
pub use denials::Denials;
pub use error::{AuthError, AuthReason, Rejection};
pub use verifier::Verifier;

#[cfg(test)]
mod tests;
