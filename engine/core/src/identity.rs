//! Who a connection or an HTTP caller is, after its token was checked.

use std::sync::Arc;

use fanfare_protocol::{Code, Publish, Refusal};

use crate::RoomPattern;
use crate::rights::Bearer;
use crate::time::Now;

/// What a checked token says.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The token's `sub`.
    pub user_id: Box<str>,
    /// The token's role.
    pub role: Box<str>,
    /// The rooms this token may enter; nothing: as the room types say.
    pub rooms: Option<Arc<[RoomPattern]>>,
    /// The number of the key that signed it; 0: none that could be taken away.
    pub key: u16,
    /// When it runs out, leeway included, in milliseconds since 1970.
    pub expires_at_unix_ms: u64,
}

impl Identity {
    /// When it runs out, by the steady clock.
    pub(crate) fn expires_ms(&self, now: Now) -> u64 {
        now.mono_ms().saturating_add(self.expires_at_unix_ms.saturating_sub(now.unix_ms))
    }

    /// Who shows the token.
    pub fn bearer(&self) -> Bearer<'_> {
        Bearer { user_id: &self.user_id, role: &self.role, rooms: self.rooms.as_deref() }
    }
}

/// Whether a token for these rooms (nothing: all) goes for one.
pub(crate) fn covers(patterns: Option<&[RoomPattern]>, room: &str) -> bool {
    patterns.is_none_or(|patterns| patterns.iter().any(|pattern| pattern.matches(room)))
}

/// Whether a user may publish on behalf of whom a message names: itself only.
///
/// # Errors
/// The refusal names the member.
pub fn may_speak_for(user_id: &str, publish: &Publish) -> Result<(), Refusal> {
    if publish.user_id.as_deref().is_none_or(|on_behalf| *on_behalf == *user_id) {
        return Ok(());
    }
    let message = "`user_id` must be the token's own; only an API key may publish on behalf of others";
    Err(Refusal::new(Code::Forbidden, message).at("user_id"))
}
