//! Telling whoever watches what happens to connections.

use std::borrow::Cow;

use crate::effect::Effects;
use crate::fact::{Fact, FactKind, Label};
use crate::id::ConnectionId;
use crate::local::shard::Local;

impl Local {
    /// Tells whoever watches what happened to a connection.
    pub(crate) fn note(
        &self,
        id: ConnectionId,
        kind: FactKind,
        subject: impl Into<Label>,
        out: &mut Effects,
    ) {
        self.tell(id, kind, subject, None, "".into(), out);
    }

    /// The same, with the code of a close or a refusal, and why.
    pub(crate) fn note_code(
        &self,
        id: ConnectionId,
        kind: FactKind,
        subject: impl Into<Label>,
        code: u16,
        reason: Cow<'static, str>,
        out: &mut Effects,
    ) {
        self.tell(id, kind, subject, Some(code), reason, out);
    }

    fn tell(
        &self,
        id: ConnectionId,
        kind: FactKind,
        subject: impl Into<Label>,
        code: Option<u16>,
        reason: Cow<'static, str>,
        out: &mut Effects,
    ) {
        let Some(connection) = self.connections.get(id) else { return };
        out.facts.push(Fact {
            kind,
            connection: Some(id),
            client_id: Label::Owner(connection.client.clone()),
            user_id: Label::Owner(connection.user.clone()),
            role: self.roles.label(connection.role),
            subject: subject.into(),
            code,
            reason,
            opened_unix_ms: Some(connection.opened_unix_ms),
            message: None,
        });
    }
}
