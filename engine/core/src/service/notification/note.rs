//! One notification: what it says, and where it stands among others.

use std::cmp::Reverse;

use fanfare_protocol::timestamp::rfc3339_text;
use fanfare_protocol::{Code, Refusal, RoomName};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::service::{Args, Context};

/// The farthest that a notification may expire, in milliseconds: a year.
const TTL_MAX_MS: u64 = 31_536_000_000;
/// What a notification has that says nothing of its priority.
const USUAL_PRIORITY: u64 = 5;

/// A notification that was sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) id: Box<str>,
    pub(super) kind: Box<str>,
    title: Box<str>,
    body: Option<Box<str>>,
    /// 0 (low) to 9 (urgent).
    pub(super) priority: u8,
    severity: Box<str>,
    actions: Vec<Value>,
    data: Option<Value>,
    from: Option<Box<str>>,
    /// Whether `from` is a user of this server, and no name that a backend has given itself.
    is_from_user: bool,
    require_ack: bool,
    to: Target,
    sent_us: u64,
    /// Tells apart what one room was sent at the same time.
    turn: u64,
    sent_unix_ms: u64,
    expires_unix_ms: u64,
    pub(super) expires_ms: u64,
}

/// Whose a notification's id is: a user, or a backend by the name that it gives itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sender {
    is_user: bool,
    name: Option<Box<str>>,
}

impl Sender {
    /// Who sends what a command says.
    pub(super) fn of(args: &Args, context: &Context<'_>) -> Self {
        let user = context.caller.and_then(|caller| caller.user.as_ref()).map(|_| context.user_id());
        Self { is_user: user.is_some(), name: user.or(args.text("from")).map(Into::into) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Target {
    User,
    Role,
    All,
}

impl Note {
    /// What a command wants sent to this room.
    pub(super) fn read(
        args: &Args,
        id: &str,
        turn: u64,
        usual_ttl_ms: u64,
        context: &Context<'_>,
    ) -> Result<Self, Refusal> {
        let now = context.now;
        let at = args.time_unix_ms("expires_at").map(|at| {
            let ttl = at.checked_sub(now.unix_ms).filter(|ttl| (1..=TTL_MAX_MS).contains(ttl));
            let message = "`expires_at` must be in the future, by a year at most";
            ttl.ok_or(Refusal::new(Code::Conflict, message).at("expires_at"))
        });
        let after = args.whole("ttl_seconds").map(|seconds| seconds * 1_000);
        let ttl_ms = at.transpose()?.into_iter().chain(after).min().unwrap_or(usual_ttl_ms);
        let own = |name| args.text(name).map(Into::into);
        let sender = Sender::of(args, context);
        Ok(Self {
            id: id.into(),
            kind: args.word("type").into(),
            title: args.word("title").into(),
            body: own("body"),
            priority: args.whole("priority").unwrap_or(USUAL_PRIORITY) as u8,
            severity: args.text("severity").unwrap_or("info").into(),
            actions: args.list("actions").to_vec(),
            data: args.value("data").cloned(),
            is_from_user: sender.is_user,
            from: sender.name,
            require_ack: args.flag("require_ack") == Some(true),
            to: match context.room {
                room if room.is_inbox() => Target::User,
                room if *room == RoomName::of_all() => Target::All,
                _ => Target::Role,
            },
            sent_us: now.mono_us,
            turn,
            sent_unix_ms: now.unix_ms,
            expires_unix_ms: now.unix_ms + ttl_ms,
            expires_ms: now.mono_ms() + ttl_ms,
        })
    }

    /// Whose its id is.
    pub(super) fn whose(&self) -> Sender {
        Sender { is_user: self.is_from_user, name: self.from.clone() }
    }

    /// The user who sent it, if it was one.
    pub(super) fn sender(&self) -> Option<RoomName> {
        self.from.as_deref().filter(|_| self.is_from_user).map(RoomName::of_user)
    }

    /// Who wants to know that it was acknowledged.
    pub(super) fn wants_receipt(&self) -> Option<RoomName> {
        self.sender().filter(|_| self.require_ack)
    }

    pub(super) fn sent_ms(&self) -> u64 {
        self.sent_us / 1_000
    }

    pub(super) fn is_over(&self, now_ms: u64) -> bool {
        self.expires_ms <= now_ms
    }

    /// What sorts notifications as they are told: the highest priority first, then the oldest. Two of one moment can come from
    /// different shards: their ids decide.
    pub(super) fn place(&self) -> (Reverse<u8>, u64, u64, &str) {
        (Reverse(self.priority), self.sent_us, self.turn, &self.id)
    }

    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        let of = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
        let values = self.actions.iter().chain(&self.data).map(|value| value.to_string().len());
        256 + self.title.len() + self.kind.len() + of(&self.body) + of(&self.from) + values.sum::<usize>()
    }

    /// What its sender is told.
    pub(super) fn answer(&self) -> Value {
        json!({
            "notification_id": self.id,
            "timestamp": rfc3339_text(self.sent_unix_ms),
            "expires_at": rfc3339_text(self.expires_unix_ms),
        })
    }

    /// What its reader is told.
    pub(super) fn told(&self, acknowledged: bool) -> Value {
        let mut told = json!({
            "notification_id": self.id,
            "type": self.kind,
            "title": self.title,
            "priority": self.priority,
            "severity": self.severity,
            "to": match self.to { Target::User => "user", Target::Role => "role", Target::All => "all" },
            "timestamp": rfc3339_text(self.sent_unix_ms),
            "expires_at": rfc3339_text(self.expires_unix_ms),
            "acknowledged": acknowledged,
        });
        let texts = [("body", &self.body), ("from", &self.from)];
        for (name, text) in texts {
            if let Some(text) = text {
                told[name] = (**text).into();
            }
        }
        if !self.actions.is_empty() {
            told["actions"] = self.actions.clone().into();
        }
        if let Some(data) = &self.data {
            told["data"] = data.clone();
        }
        if self.require_ack {
            told["require_ack"] = true.into();
        }
        told
    }
}

/// The first of some notifications that fit into a message, as they are told, and whether there are more.
pub(super) fn page<'n>(
    notes: impl Iterator<Item = (&'n Note, bool)>,
    count_max: usize,
    bytes_max: usize,
) -> (Vec<Value>, bool) {
    let (mut page, mut bytes) = (Vec::new(), 0);
    for (note, acknowledged) in notes {
        bytes += note.bytes();
        if page.len() == count_max || (bytes > bytes_max && !page.is_empty()) {
            return (page, true);
        }
        page.push(note.told(acknowledged));
    }
    (page, false)
}
