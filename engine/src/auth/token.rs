//! Where a request carries its token.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, header};

use super::{AuthError, AuthReason};
use crate::percent;

/// The subprotocol that a browser offers beside the real one, since it can set no header: this, and the token
/// in base64url.
const SUBPROTOCOL: &str = "base64url.bearer.fanfare.";

/// Whether an offered subprotocol carries a token.
pub fn is_carrier(offer: &str) -> bool {
    offer.starts_with(SUBPROTOCOL)
}

/// Finds the token: `Authorization: Bearer`, else the offered subprotocol, else `?token=`.
///
/// # Errors
/// There is something in its place that is no token.
pub fn find<'r>(headers: &'r HeaderMap, query: &str) -> Result<Option<Cow<'r, str>>, AuthError> {
    let malformed = |message| AuthError::new(AuthReason::Malformed, message);
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let text = value.to_str().map_err(|_| malformed("`authorization` is not ASCII"))?;
        let scheme = text.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("bearer "));
        let scheme = scheme.ok_or_else(|| malformed("`authorization` must be of the scheme Bearer"))?;
        return Ok(Some(Cow::Borrowed(text[scheme.len()..].trim())));
    }
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL);
    let mut offered =
        offered.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    if let Some(encoded) = offered.find_map(|offer| offer.trim().strip_prefix(SUBPROTOCOL)) {
        let bytes = URL_SAFE_NO_PAD.decode(encoded.trim_end_matches('='));
        let token = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let token =
            token.ok_or_else(|| malformed("the token's subprotocol must end in base64url of the token"))?;
        return Ok(Some(Cow::Owned(token)));
    }
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    Ok(pairs.find(|(name, _)| *name == "token").map(|(_, token)| Cow::Owned(percent::decode(token))))
}
