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
        out.facts.extend(self.fact(id, kind, subject));
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
        out.facts.extend(self.fact(id, kind, subject).map(|fact| Fact { code: Some(code), reason, ..fact }));
    }

    /// The same, with how long it took.
    pub(crate) fn note_duration(&self, id: ConnectionId, kind: FactKind, ms: u64, out: &mut Effects) {
        let fact = self.fact(id, kind, Label::Nothing);
        out.facts.extend(fact.map(|fact| Fact { duration_ms: Some(ms), ..fact }));
    }

    fn fact(&self, id: ConnectionId, kind: FactKind, subject: impl Into<Label>) -> Option<Fact> {
        let connection = self.connections.get(id)?;
        Some(Fact {
            kind,
            connection: Some(id),
            client_id: Label::Owner(connection.client.clone()),
            user_id: Label::Owner(connection.user.clone()),
            role: self.roles.label(connection.role),
            subject: subject.into(),
            code: None,
            reason: "".into(),
            opened_unix_ms: Some(connection.opened_unix_ms),
            duration_ms: None,
            message: None,
        })
    }
}
