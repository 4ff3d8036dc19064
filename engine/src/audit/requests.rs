//! What comes by HTTP, as lines: who was let in to a WebSocket and who was not, and what was asked of the API.

use std::net::IpAddr;

use fanfare_protocol::Code;
use http::{HeaderName, Method, StatusCode, header};

use super::record::{CHOSEN_BYTES_MAX, Outcome, PATH_BYTES_MAX, Record, clip, text};
use super::{Audit, log, token};
use crate::http::Head;

/// What an operator asked for, in words: the names of all settings that changed fit.
const ABOUT_BYTES_MAX: usize = 1_024;

/// Who asks for a WebSocket, as far as it is told once: in the `handshake` line.
#[derive(Debug)]
pub(crate) struct Visitor {
    ip: IpAddr,
    origin: Option<Box<str>>,
    user_agent: Option<Box<str>>,
    path: Option<Box<str>>,
    kid: Option<Box<str>>,
    jti_sha256: Option<Box<str>>,
}

impl Visitor {
    /// What the request says. Of the token nothing, yet.
    fn of(head: &Head) -> Self {
        let path = Some(clip(head.uri.path(), PATH_BYTES_MAX));
        let (origin, user_agent) = (chosen(head, header::ORIGIN), chosen(head, header::USER_AGENT));
        Self { origin, user_agent, path, ..Self::at(head) }
    }

    /// Its address alone, where no file is told the rest.
    fn at(head: &Head) -> Self {
        // Without the form that a socket for both versions gives to the older one.
        let ip = head.peer.ip().to_canonical();
        Self { ip, origin: None, user_agent: None, path: None, kid: None, jti_sha256: None }
    }

    /// A good token came with the request.
    pub(crate) fn showed(&mut self, token: &str) {
        (self.kid, self.jti_sha256) = token::shown(token);
    }

    /// A line about it.
    pub(crate) fn record(&self, event: &'static str, outcome: Outcome) -> Record {
        Record {
            remote_ip: Some(self.ip.to_string().into()),
            origin: self.origin.clone(),
            user_agent: self.user_agent.clone(),
            path: self.path.clone(),
            kid: self.kid.clone(),
            jti_sha256: self.jti_sha256.clone(),
            ..Record::new(event, outcome)
        }
    }
}

/// What a peer chose itself: short, and the encoding of the line takes away what could forge one.
fn chosen(head: &Head, name: HeaderName) -> Option<Box<str>> {
    let value = head.headers.get(name)?;
    Some(clip(&String::from_utf8_lossy(value.as_bytes()), CHOSEN_BYTES_MAX))
}

impl Audit {
    /// Who asks for a WebSocket.
    pub(crate) fn visitor(&self, head: &Head) -> Visitor {
        if self.is_kept() { Visitor::of(head) } else { Visitor::at(head) }
    }

    /// An upgrade was not agreed to; `reason` is one word of a fixed set.
    pub(crate) fn upgrade_denied(&self, head: &Head, reason: &'static str) {
        // The log is told of pages that should not be there, as ever; of clumsy requests there are too many.
        if !self.is_kept() && reason != "origin" {
            return;
        }
        let event = if reason == "origin" { "origin_denied" } else { "connect_denied" };
        self.deny(head.peer.ip(), Visitor::of(head).record(event, Outcome::Denied).because(reason));
    }

    /// Somebody may not use the API. Who it is, if the token was good.
    pub(crate) fn caller_denied(&self, head: &Head, actor: &str, status: StatusCode, reason: &str) {
        let record = call(head, "api_denied", actor, Outcome::Denied).code(status.as_u16());
        self.deny(head.peer.ip(), record.because(reason.to_owned()));
    }

    /// A WebSocket was agreed to only to say why there is none.
    pub(crate) fn visitor_denied(&self, visitor: &Visitor, code: Code, reason: String) {
        let record = visitor.record("connect_denied", Outcome::Denied).code(code.number());
        self.deny(visitor.ip, record.because(reason));
    }

    /// The API was used. The name and the rooms, users or clients are those of the path.
    pub(crate) fn called(&self, head: &Head, actor: &str, status: StatusCode, segments: &[&str]) {
        let reads = head.method == Method::GET || head.method == Method::HEAD;
        // The counts of the live page, which asks every second, tell of nobody.
        if segments == ["statistics"] || (reads && !self.is_kept()) {
            return;
        }
        let event = match segments {
            ["rooms", _, "history"] if reads => "history",
            ["connections", _] if head.method == Method::DELETE => "disconnect",
            _ if reads => "read",
            _ => "admin",
        };
        self.write(|| {
            let mut record = call(head, event, actor, outcome(status)).code(status.as_u16());
            match *segments {
                ["rooms", room, ..] => record.room = text(&clip(room, CHOSEN_BYTES_MAX)),
                ["users", user_id, ..] => record.user_id = text(&clip(user_id, CHOSEN_BYTES_MAX)),
                ["connections", client_id] => {
                    record.client_id = text(&clip(client_id, CHOSEN_BYTES_MAX));
                }
                _ => {}
            }
            record
        });
    }

    /// A command of a service came by HTTP. Like messages, what was done is told only where those are; what was denied always.
    pub(crate) fn service_called(&self, head: &Head, actor: &str, status: StatusCode, command: &'static str) {
        let outcome = outcome(status);
        if outcome == Outcome::Denied || self.tells_publishes() {
            let event = if outcome == Outcome::Denied { "call_denied" } else { "call" };
            let code = status.as_u16();
            self.write(|| call(head, event, actor, outcome).code(code).with("command", command));
        }
    }

    /// An operator asked for something: which command, and about whom or what, in words that hold no secret.
    pub(crate) fn operated(
        &self,
        head: &Head,
        actor: &str,
        status: StatusCode,
        command: &'static str,
        about: &[(&'static str, String)],
    ) {
        let record = || {
            let record = call(head, "admin", actor, outcome(status)).code(status.as_u16());
            let mut record = record.with("command", command);
            for (name, what) in about {
                let what = clip(what, ABOUT_BYTES_MAX);
                match *name {
                    "user_id" => record.user_id = text(&what),
                    "client_id" => record.client_id = text(&what),
                    name => record = record.with(name, &*what),
                }
            }
            record
        };
        // It may have no place in the file.
        if self.refuses() {
            log::line(&record());
        }
        self.write(record);
    }

    /// Messages of one request to publish were refused to their publisher.
    pub(crate) fn publishes_denied(
        &self,
        head: &Head,
        actor: &str,
        reason: &'static str,
        room: Option<&str>,
        count: usize,
    ) {
        self.write(|| {
            let record = call(head, "publish_denied", actor, Outcome::Denied).because(reason);
            Record { room: room.and_then(text), ..record }.code(403).with("count", count)
        });
    }
}

fn call(head: &Head, event: &'static str, actor: &str, outcome: Outcome) -> Record {
    Record {
        actor: text(actor),
        remote_ip: Some(head.peer.ip().to_canonical().to_string().into()),
        user_agent: chosen(head, header::USER_AGENT),
        method: Some(head.method.as_str().into()),
        path: Some(clip(head.uri.path(), PATH_BYTES_MAX)),
        ..Record::new(event, outcome)
    }
}

fn outcome(status: StatusCode) -> Outcome {
    match status.as_u16() {
        401 | 403 => Outcome::Denied,
        101 | 200..=399 => Outcome::Ok,
        _ => Outcome::Failed,
    }
}
