//! All that one shard holds for its connections, and the life of a connection: opened, admitted, closed.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use fanfare_protocol::{Code, Reply, RoomName, ws};
use foldhash::quality::FixedState;

use crate::class::Class;
use crate::close::Close;
use crate::effect::Effects;
use crate::fact::{FactKind, Label};
use crate::id::{ConnectionId, Random, ShardId};
use crate::input::Opening;
use crate::local::backlog::Backlog;
use crate::local::connection::{Connection, Extra, Held, State};
use crate::local::connections::Connections;
use crate::local::flush::Flush;
use crate::local::group::Tick;
use crate::local::health::Health;
use crate::local::inquiries::Inquiries;
use crate::local::outgoing::Outgoing;
use crate::local::pace::Payers;
use crate::local::roles::Roles;
use crate::local::room::LocalRoom;
use crate::local::say::gap;
use crate::local::wheel::Wheel;
use crate::names::Names;
use crate::options::{Application, Options};
use crate::rate::Bucket;
use crate::stats::{Stats, Wire};
use crate::time::Now;

/// How long a closing connection may take to let its last bytes out and to answer the close.
const CLOSING_MS: u64 = 3_000;
/// In audit and counts, the end of a connection that was lost without a close frame (RFC 6455 §7.4.1).
const LOST: u16 = 1_006;

#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) shard: ShardId,
    pub(crate) options: Arc<Options>,
    pub(crate) hasher: FixedState,
    pub(crate) random: Random,
    pub(crate) connections: Connections,
    pub(crate) rooms: Names<LocalRoom>,
    pub(crate) roles: Roles,
    pub(super) outgoing: Outgoing,
    pub(super) wheel: Wheel,
    pub(super) flush: Flush,
    pub(super) spare: Vec<Box<Tick>>,
    /// Rooms that somebody left, to be looked at when no flush is on.
    pub(super) vacated: Vec<u32>,
    /// Connections whose backlog reached its bound, to be closed.
    pub(super) overflowed: Vec<ConnectionId>,
    /// Closing connections: to be half-closed once all is out, or let go if their peer has closed too.
    pub(super) farewells: Vec<ConnectionId>,
    /// Commands refused in this turn, where somebody watches.
    pub(crate) refusals: Vec<(ConnectionId, u16)>,
    pub(crate) inquiries: Inquiries,
    /// What users have used of their rates.
    pub(super) payers: Payers,
    pub(crate) stats: Stats,
    /// Connections of whose chained commands one was answered in this turn.
    pub(crate) chained: Vec<ConnectionId>,
    /// What time it was when anything came last, in milliseconds since 1970.
    pub(crate) now_unix_ms: u64,
}

impl Local {
    pub(crate) fn new(
        shard: ShardId,
        options: Arc<Options>,
        hasher: FixedState,
        random: Random,
        now: Now,
    ) -> Self {
        let stats = Stats { wire: vec![Wire::default(); options.room_types.len() + 2], ..Stats::default() };
        Self {
            shard,
            options,
            hasher: hasher.clone(),
            payers: Payers::new(hasher.clone()),
            random,
            connections: Connections::default(),
            rooms: Names::new(hasher),
            roles: Roles::default(),
            outgoing: Outgoing::default(),
            wheel: Wheel::new(now.mono_ms()),
            flush: Flush::default(),
            spare: Vec::new(),
            vacated: Vec::new(),
            overflowed: Vec::new(),
            farewells: Vec::new(),
            refusals: Vec::new(),
            inquiries: Inquiries::default(),
            stats,
            chained: Vec::new(),
            now_unix_ms: now.unix_ms,
        }
    }

    /// The shard that orders a room.
    pub(crate) fn home_of(&self, room: &RoomName) -> ShardId {
        ShardId::home_of(&self.hasher, self.options.shards, room)
    }

    /// A connection was upgraded.
    pub(crate) fn open(&mut self, now: Now, opening: Opening, out: &mut Effects) -> ConnectionId {
        let Opening {
            head,
            encoding,
            window,
            client_id,
            rooms,
            positions,
            inbox,
            resume,
            identity,
            bare,
            health,
            requests,
            speaker,
        } = opening;
        // A bare connection is let in by the shell. Who it is counts for its end alone.
        let (bearer, identity) = if bare { (identity, None) } else { (None, identity) };
        let until_ms = match &bearer {
            Some(bearer) => bearer.expires_ms(now),
            None if bare => u64::MAX,
            None => now.mono_ms() + self.options.heartbeat.auth_ms,
        };
        let client_of = |token: &str| token.rsplit_once('.').map(|(client_id, _)| client_id.into());
        let client_id = resume.as_deref().and_then(client_of).or(client_id);
        let is_asked = !rooms.is_empty() || !requests.is_empty();
        let is_held = is_asked || !positions.is_empty() || inbox.is_some() || resume.is_some();
        let held = is_held.then(|| {
            let each = requests.into_iter().map(|request| (request, VecDeque::new()));
            let requests = each.collect();
            let mut held = Held { positions, requests, inbox, resume, ..Held::default() };
            rooms.into_iter().for_each(|join| held.join(join));
            Box::new(held)
        });
        let client_id = client_id.unwrap_or_else(|| self.random.client_id().into());
        let measured = match self.options.heartbeat.application {
            Application::Off => false,
            Application::Asked => health,
            Application::All => true,
        };
        let health = (measured && !bare).then(|| Box::new(Health::new()));
        let class = match &speaker {
            Some(speaker) => Class::of_dialect(speaker.dialect, window),
            None => Class::of(encoding, window, self.options.shares()),
        };
        let key = bearer.as_ref().map_or(0, |bearer| bearer.key);
        let bearer = bearer.map(|bearer| RoomName::of_user(&bearer.user_id));
        let has_extra = health.is_some() || speaker.is_some() || bearer.is_some();
        let extra = has_extra.then(|| Box::new(Extra { health, speaker, bearer, ..Extra::default() }));
        let role = self.roles.enter("", u16::MAX).expect("invariant: the empty role always has a place");
        let now_ms = now.mono_ms();
        let id = self.connections.insert(Connection {
            state: if bare { State::Bare } else { State::AwaitingToken },
            class,
            follows: None,
            in_step: false,
            role,
            joins_pending: 0,
            pinged: false,
            peer_closed: false,
            user: RoomName::of_user(""),
            client: RoomName::of_client(&client_id),
            patterns: None,
            memberships: Vec::new(),
            held,
            backlog: None,
            extra,
            outgoing: 0,
            commands: 0,
            bucket: Bucket::new(now_ms),
            opened_unix_ms: now.unix_ms,
            until_ms,
            key,
            received_ms: now_ms,
            command_ms: now_ms,
        });
        self.now_unix_ms = now.unix_ms;
        self.stats.opened += 1;
        self.tie(id);
        self.schedule(now, id);
        if !head.is_empty() {
            self.write(id.slot, |bytes| bytes.extend_from_slice(&head));
        }
        if let Some(identity) = identity {
            self.ask_to_admit(now, id, identity, out);
        }
        id
    }

    /// Appends to what a connection is sent next, behind everything it is owed already.
    pub(crate) fn write(&mut self, slot: u32, write: impl FnOnce(&mut Vec<u8>)) {
        let connection = self.connections.in_slot(slot).expect("invariant: the caller holds it");
        if connection.is_blocked() {
            let mut bytes = Vec::new();
            write(&mut bytes);
            self.hold_back(slot, bytes.into());
        } else {
            write(self.outgoing.buffer(slot, &mut connection.outgoing));
        }
    }

    /// Appends what is no message to what waits for a connection.
    #[cold]
    pub(super) fn hold_back(&mut self, slot: u32, bytes: Bytes) {
        self.push_backlog(slot, |backlog| backlog.push(bytes));
    }

    /// Appends to what waits for a connection.
    pub(super) fn push_backlog(&mut self, slot: u32, push: impl FnOnce(&mut Backlog)) {
        let max = self.options.limits.backlog_bytes;
        let connection = self.connections.in_slot(slot).expect("invariant: the caller holds it");
        let bare = connection.state == State::Bare;
        let closing = connection.state == State::Closing;
        let backlog = connection.backlog.as_mut().expect("invariant: only blocked connections come here");
        let before = backlog.bytes();
        push(backlog);
        let after = backlog.bytes();
        self.stats.backlog_bytes += (after - before) as u64;
        if before <= max && after > max && !bare && !closing {
            self.overflowed.push(self.connections.id_of(slot));
        }
    }

    /// Ends a connection: what it was owed, then an error and the close frame, then nothing more.
    pub(crate) fn close(&mut self, now: Now, id: ConnectionId, close: Close, out: &mut Effects) {
        let Some(connection) = self.connections.get(id) else { return };
        if connection.state == State::Closing {
            return;
        }
        let bare = connection.state == State::Bare;
        if close.may_resume() {
            self.park(id, out);
        }
        self.leave_all(id, out);
        if let Some(code) = close.error.filter(|_| !bare) {
            self.reply(id, None, &Reply::Error { code, message: &close.reason, field: close.field });
        }
        let (number, reason) = if close.is_final {
            (close.number, (&*close.reason).into())
        } else {
            self.told(id, close.number, &close.reason)
        };
        self.write(id.slot, |bytes| ws::encode_close(bytes, number, &reason));
        self.stats.closed(close.number);
        let connection = self.connections.get_mut(id).expect("invariant: still held");
        connection.state = State::Closing;
        connection.until_ms = now.mono_ms() + CLOSING_MS;
        connection.held = None;
        self.farewells.push(id);
        let says = connection.peer_closed && close.reason.is_empty();
        let reason = if says { "the client closed it".into() } else { close.reason };
        self.note_code(id, FactKind::Closed, Label::Nothing, close.number, reason, out);
        self.reschedule(now, id);
    }

    /// More waits for a connection than may: drops what its rooms allow to be dropped, or ends it.
    pub(super) fn relieve(&mut self, now: Now, id: ConnectionId, out: &mut Effects) {
        let max = self.options.limits.backlog_bytes;
        let Some(connection) = self.connections.get_mut(id) else { return };
        let class = connection.class;
        let Some(backlog) = connection.backlog.as_mut().filter(|backlog| backlog.bytes() > max) else {
            return;
        };
        let before = backlog.bytes();
        // To half of it, so that not every further message costs a search.
        let dropped = backlog.shed(max / 2, |of| gap(class, &self.options, &of.room, of.epoch, of.offsets()));
        let after = backlog.bytes();
        self.stats.backlog_bytes = self.stats.backlog_bytes + after as u64 - before as u64;
        self.stats.shed += dropped;
        if after > max {
            self.close_slow(now, id, out);
        }
    }

    /// Ends a connection that does not read: all but the frame it is in the middle of is dropped.
    pub(super) fn close_slow(&mut self, now: Now, id: ConnectionId, out: &mut Effects) {
        let Some(connection) = self.connections.get(id) else { return };
        if connection.state == State::Closing {
            return;
        }
        self.stats.slow_disconnects += 1;
        self.park(id, out);
        self.leave_all(id, out);
        let connection = self.connections.get_mut(id).expect("invariant: still held");
        if let Some(backlog) = &mut connection.backlog {
            let before = backlog.bytes();
            backlog.keep_begun_frame();
            self.stats.backlog_bytes -= (before - backlog.bytes()) as u64;
        }
        let close = Close::code(Code::SlowConsumer, "reads too slowly; reconnect and recover");
        self.close(now, id, close, out);
    }

    /// All that a closing connection was owed is out: lets it go if its peer has closed too, and otherwise tells
    /// the peer that nothing more comes. Closing the socket right away could reset the connection under a peer that is still
    /// sending, and take the close frame with it.
    pub(super) fn say_farewell(&mut self, id: ConnectionId, out: &mut Effects) {
        let Some(connection) = self.connections.get(id) else { return };
        if connection.peer_closed {
            self.release(id, out);
        } else {
            out.finished.push(id);
        }
    }

    /// The peer of a closing connection has closed too.
    pub(crate) fn peer_closed_too(&mut self, id: ConnectionId, out: &mut Effects) {
        let Some(connection) = self.connections.get(id) else { return };
        if self.flush.is_on() || connection.outgoing != 0 {
            self.farewells.push(id);
        } else if !connection.is_blocked() {
            self.release(id, out);
        }
    }

    /// The socket is dead, or both sides have said goodbye: forgets the connection.
    pub(crate) fn release(&mut self, id: ConnectionId, out: &mut Effects) {
        let Some(connection) = self.connections.get(id) else { return };
        if connection.state == State::Open {
            // Its beginning was written down; without a goodbye its end was not.
            self.stats.closed(LOST);
            let why = "lost without a close frame".into();
            self.note_code(id, FactKind::Closed, Label::Nothing, LOST, why, out);
        }
        self.park(id, out);
        self.leave_all(id, out);
        self.wheel.remove(id.slot);
        let connection = self.connections.remove(id).expect("invariant: just seen");
        self.roles.exit(connection.role);
        self.outgoing.forget(connection.outgoing);
        if let Some(backlog) = connection.backlog {
            self.stats.backlogs -= 1;
            self.stats.backlog_bytes -= backlog.bytes() as u64;
        }
        out.closed.push(id);
    }
}
