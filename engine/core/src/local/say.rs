//! What one connection is told: answers, messages to it alone, refusals; in its own encoding or dialect.

use std::borrow::Cow;
use std::collections::VecDeque;

use bytes::Bytes;
use fanfare_protocol::wire::{CommandId, Join};
use fanfare_protocol::{Code, Dialect, Listener, Message, Refusal, Reply, Request, RoomName, ws};
use serde_json::Value;

use crate::class::Class;
use crate::close::Close;
use crate::effect::Effects;
use crate::fact::{FactKind, Label};
use crate::id::{ConnectionId, Epoch};
use crate::local::connection::State;
use crate::local::shard::Local;
use crate::mesh::Whisper;
use crate::options::Options;
use crate::time::Now;

impl Local {
    /// Writes an answer in the connection's own encoding.
    pub(crate) fn reply(&mut self, id: ConnectionId, command: Option<&CommandId>, reply: &Reply<'_>) {
        let Some(connection) = self.connections.get(id) else { return };
        if connection.state == State::Closing {
            return;
        }
        let (encoding, has_extra) = (connection.class.encoding(), connection.extra.is_some());
        if has_extra {
            self.heard_answer(id, command, reply);
        }
        let mut payload = Vec::with_capacity(128);
        encoding.encode_reply(reply, command, &mut payload);
        self.finished_reply(id, &payload);
    }

    /// An answer that is encoded already.
    pub(crate) fn finished_reply(&mut self, id: ConnectionId, payload: &[u8]) {
        let Some(connection) = self.connections.get(id) else { return };
        if connection.state == State::Closing {
            return;
        }
        if connection.class.dialect() > 0 {
            self.say_in_dialect(id, payload);
            return;
        }
        let opcode = connection.class.encoding().opcode();
        self.write(id.slot, |bytes| ws::encode_frame(bytes, opcode, false, payload));
    }

    /// Says what the connection's dialect makes of an answer.
    #[cold]
    fn say_in_dialect(&mut self, id: ConnectionId, native: &[u8]) {
        let Some(connection) = self.connections.get(id) else { return };
        let Some(dialect) = dialect_of(&self.options, connection.class) else { return };
        let listener = connection.listener(self.roles.name(connection.role), self.now_unix_ms);
        let Some(listener) = listener else { return };
        let own_id = self.random.message_id(self.now_unix_ms);
        let listener = Listener { own_id: &own_id, ..listener };
        let mut bytes = Vec::new();
        dialect.answer(&listener, native, &mut |opcode, payload| {
            ws::encode_frame(&mut bytes, opcode, false, payload);
        });
        if !bytes.is_empty() {
            self.write(id.slot, |out| out.extend_from_slice(&bytes));
        }
    }

    /// The close code and the reason that a connection is told.
    pub(super) fn told<'r>(&self, id: ConnectionId, number: u16, reason: &'r str) -> (u16, Cow<'r, str>) {
        let class = self.connections.get(id).map(|connection| connection.class);
        match class.and_then(|class| dialect_of(&self.options, class)) {
            Some(dialect) => dialect.close(number, reason),
            None => (number, Cow::Borrowed(reason)),
        }
    }

    /// What a connection's upgrade gave is known better now, and there are rooms to join.
    pub(crate) fn introduce(
        &mut self,
        id: ConnectionId,
        given: Value,
        rooms: Vec<Join>,
        requests: Vec<Request>,
    ) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let speaker = connection.extra.as_mut().and_then(|extra| extra.speaker.as_mut());
        let Some(speaker) = speaker else { return };
        speaker.given = given.into();
        if !rooms.is_empty() || !requests.is_empty() {
            let held = connection.held.get_or_insert_default();
            rooms.into_iter().for_each(|join| held.join(join));
            held.requests.extend(requests.into_iter().map(|request| (request, VecDeque::new())));
        }
        self.tie(id);
    }

    /// Remembers the rooms that the connection's end is tied to, before they are joined.
    pub(super) fn tie(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let dialect = dialect_of(&self.options, connection.class);
        let ties = dialect.is_some_and(|dialect| dialect.is_tied() || dialect.needs_rooms());
        let (Some(extra), Some(held)) = (connection.extra.as_mut().filter(|_| ties), &connection.held) else {
            return;
        };
        extra.tied = held.rooms.iter().map(|join| join.room.clone()).collect();
    }

    /// Whether a connection ends when it is sent away from this room.
    pub(super) fn is_tied_to(&self, id: ConnectionId, room: &RoomName) -> bool {
        let Some(connection) = self.connections.get(id) else { return false };
        connection.extra.as_deref().is_some_and(|extra| extra.tied.contains(room))
            && dialect_of(&self.options, connection.class).is_some_and(Dialect::is_tied)
    }

    /// A join was refused. A connection that needs the room ends with it.
    pub(crate) fn deny_join(
        &mut self,
        now: Now,
        id: ConnectionId,
        room: RoomName,
        refusal: Refusal,
        out: &mut Effects,
    ) {
        let connection = self.connections.get(id).expect("invariant: the caller holds it");
        let dialect = dialect_of(&self.options, connection.class);
        let tied = connection.extra.as_deref().is_some_and(|extra| extra.tied.contains(&room));
        if refusal.id.is_none() && tied && dialect.is_some_and(Dialect::needs_rooms) {
            self.note_code(
                id,
                FactKind::JoinDenied,
                room,
                refusal.code.number(),
                refusal.message.clone().into(),
                out,
            );
            let close = Close { reason: refusal.message.into(), ..Close::code(refusal.code, "") };
            self.close(now, id, close, out);
            return;
        }
        self.deny(id, FactKind::JoinDenied, room, &refusal, out);
    }

    /// Something that a service has to say to this connection alone.
    pub(crate) fn whisper(&mut self, now: Now, id: ConnectionId, whisper: &Whisper) {
        let Some(connection) = self.connections.get(id) else { return };
        if !self.options.may_receive(self.roles.name(connection.role), &whisper.event) {
            return;
        }
        let message = Message {
            event: whisper.event.as_str(),
            room: whisper.room.as_str(),
            offset: 0,
            epoch: "",
            message_id: "",
            timestamp_unix_ms: now.unix_ms,
            user_id: whisper.user.as_ref().and_then(|user| user.as_str().strip_prefix("@user:")),
            priority: 0,
            body: &whisper.body,
        };
        let mut payload = Vec::with_capacity(128);
        connection.class.encoding().encode_message(&message, &mut payload);
        self.finished_reply(id, &payload);
    }

    /// Answers a command that was not done.
    pub(crate) fn refuse(&mut self, id: ConnectionId, refusal: &Refusal) {
        if self.options.watch.refusals {
            self.refusals.push((id, refusal.code.number()));
        }
        self.tell_refusal(id, refusal);
    }

    /// The same of a command whose refusal has a kind of its own: whoever watches is told that, with what it was about.
    pub(crate) fn deny(
        &mut self,
        id: ConnectionId,
        kind: FactKind,
        subject: impl Into<Label>,
        refusal: &Refusal,
        out: &mut Effects,
    ) {
        let (code, why) = (refusal.code.number(), refusal.message.clone().into());
        self.note_code(id, kind, subject, code, why, out);
        self.tell_refusal(id, refusal);
    }

    /// A room's home has refused a command: whoever watches hears of it if it was not allowed.
    pub(crate) fn deny_at_home(
        &mut self,
        id: ConnectionId,
        kind: FactKind,
        refusal: &Refusal,
        out: &mut Effects,
    ) {
        if refusal.code == Code::Forbidden {
            self.deny(id, kind, Label::Nothing, refusal, out);
        } else {
            self.refuse(id, refusal);
        }
    }

    fn tell_refusal(&mut self, id: ConnectionId, refusal: &Refusal) {
        self.stats.refused += 1;
        let Refusal { id: command, code, message, field } = refusal;
        self.reply(id, command.as_ref(), &Reply::Error { code: *code, message, field: *field });
    }
}

/// The frame that tells a reader what it will not get: from one offset to another, both included.
pub(crate) fn gap(
    class: Class,
    options: &Options,
    room: &RoomName,
    epoch: Epoch,
    (from, to): (u64, u64),
) -> Bytes {
    let epoch = epoch.to_string();
    let gap = Reply::Gap { room: room.as_str(), epoch: &epoch, from, to };
    let (mut payload, mut frame) = (Vec::with_capacity(128), Vec::with_capacity(132));
    class.encoding().encode_reply(&gap, None, &mut payload);
    if let Some(dialect) = dialect_of(options, class) {
        let mut emit = |opcode, payload: &[u8]| ws::encode_frame(&mut frame, opcode, false, payload);
        // No other notice is about these places.
        let own_id = format!("{}:{epoch}:{from}-{to}", room.as_str());
        dialect.message(&payload, &own_id, &mut emit);
    }
    if frame.is_empty() {
        ws::encode_frame(&mut frame, class.encoding().opcode(), false, &payload);
    }
    frame.into()
}

/// What a class speaks, where it is not the engine's own wire.
pub(crate) fn dialect_of(options: &Options, class: Class) -> Option<&dyn Dialect> {
    let number = usize::from(class.dialect()).checked_sub(1)?;
    Some(&*options.dialects[number])
}
