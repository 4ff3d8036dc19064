//! A shard's part of the inspector: it hands in what its core told, once a turn, and serves its live tails.
//!
//! A tail is a bare connection. It is sent nothing while it does not read, so that no more than one turn's records wait for it.

use std::sync::Arc;

use fanfare_core::{Close, ConnectionId, Core, Effects, FactKind, Input, Now, ShardId};
use fanfare_protocol::Code;
use fanfare_protocol::ws::{OpCode, encode_frame};
use serde_json::json;

use crate::http::Pass;
use crate::inspector::{Batch, Inspector, Observer, Record, Tail, denied};
use crate::process::Process;
use crate::shard::state::State;

/// A tail that took nothing for so long is ended: others may want its place.
const STALLED_MS: u64 = 30_000;

impl State {
    /// The inspector's share of a turn.
    pub(super) fn inspect(&mut self, now: Now) {
        let Some(watch) = &mut self.watch else { return };
        if watch.turn(now, &mut self.core, &mut self.effects) {
            self.process.exchange.signal_all();
        }
        if watch.has_more(&self.core) {
            self.port.rouse();
        }
    }

    /// A connection was refused before the core heard of it.
    pub(crate) fn note_denied(&self, code: Code, peer: std::net::IpAddr) {
        let Some(inspector) = &self.process.inspector else { return };
        let denied = denied(self.shard, self.now().unix_ms, code, &peer.to_string());
        let mut records = inspector.records();
        inspector.add(&mut records, denied.into_iter());
    }
}

/// What one shard keeps for the inspector.
pub(crate) struct Watch {
    inspector: Arc<Inspector>,
    observer: Observer,
    /// Of this turn.
    new: Vec<Record>,
    tails: Vec<Follower>,
    ping_ms: u64,
}

struct Follower {
    id: ConnectionId,
    tail: Tail,
    pass: Pass,
    /// How much had been written when it was last served, all of it.
    served: u64,
    pinged_ms: u64,
    blocked_ms: Option<u64>,
}

impl Watch {
    /// Nothing where the inspector is off.
    pub(crate) fn new(shard: ShardId, process: &Process) -> Option<Self> {
        let inspector = Arc::clone(process.inspector.as_ref()?);
        let observer = Observer { shard, payloads: inspector.config.payloads };
        let ping_ms = process.config.heartbeat.interval.as_millis() as u64;
        Some(Self { inspector, observer, new: Vec::new(), tails: Vec::new(), ping_ms })
    }

    /// Notes what the core has told. The ends of tails are nobody's business.
    pub(crate) fn note(&mut self, now: Now, effects: &Effects) {
        for fact in &effects.facts {
            let is_tails = |id| self.tails.iter().any(|follower| follower.id == id);
            if fact.kind != FactKind::Closed || !fact.connection.is_some_and(is_tails) {
                self.observer.observe(now.unix_ms, fact, &mut self.new);
            }
        }
    }

    /// A connection was opened to be sent what comes from now on.
    pub(crate) fn follow(&mut self, now: Now, id: ConnectionId, tail: Tail, pass: Pass) {
        let pinged_ms = now.mono_ms();
        self.tails.push(Follower { id, tail, pass, served: 0, pinged_ms, blocked_ms: None });
    }

    /// Hands in what is new and serves the tails. True when tails of other shards should be woken.
    pub(crate) fn turn(&mut self, now: Now, core: &mut Core, effects: &mut Effects) -> bool {
        self.tails.retain(|follower| core.is_open(follower.id));
        let written = self.inspector.written();
        let waiting = |follower: &Follower| follower.served != written;
        if self.new.is_empty() && !self.tails.iter().any(waiting) {
            self.keep_alive(now, core, effects);
            return false;
        }
        let mut records = self.inspector.records();
        let wake = self.inspector.add(&mut records, self.new.drain(..));
        let written = self.inspector.written();
        let mut batches = Vec::new();
        for follower in self.tails.iter_mut().filter(|follower| !core.is_blocked(follower.id)) {
            let batch = follower.tail.take(&records);
            if !batch.more {
                follower.served = written;
            }
            batches.push((follower.id, batch));
        }
        drop(records);
        for (id, batch) in batches {
            self.inspector.count_skipped(batch.skipped);
            let frames = frames(&batch);
            if !frames.is_empty() {
                core.handle(now, Input::Answer(id, frames), effects);
            }
        }
        self.keep_alive(now, core, effects);
        wake
    }

    /// Ends the tails of those who may look no longer. At ticks; ends that go by user, key or address are the core's.
    pub(crate) fn check(&mut self, now: Now, process: &Process, core: &mut Core, effects: &mut Effects) {
        if self.tails.is_empty() {
            return;
        }
        let live = process.live();
        self.ping_ms = live.config.heartbeat.interval.as_millis() as u64;
        for follower in &self.tails {
            if let Some(close) = follower.pass.end(&live) {
                core.handle(now, Input::Close(follower.id, close), effects);
            }
        }
    }

    /// Pings tails, since they need not say anything to live, and ends those that read nothing.
    fn keep_alive(&mut self, now: Now, core: &mut Core, effects: &mut Effects) {
        for follower in &mut self.tails {
            if core.is_blocked(follower.id) {
                let since_ms = *follower.blocked_ms.get_or_insert(now.mono_ms());
                if now.mono_ms() >= since_ms + STALLED_MS {
                    let close = Close::code(Code::SlowConsumer, "reads too slowly");
                    core.handle(now, Input::Close(follower.id, close), effects);
                }
                continue;
            }
            follower.blocked_ms = None;
            if now.mono_ms() >= follower.pinged_ms + self.ping_ms {
                follower.pinged_ms = now.mono_ms();
                let mut frame = Vec::new();
                encode_frame(&mut frame, OpCode::Ping, false, b"");
                core.handle(now, Input::Answer(follower.id, frame), effects);
            }
        }
    }

    /// Whether a tail has more to be sent that is there already.
    pub(crate) fn has_more(&self, core: &Core) -> bool {
        let written = self.inspector.written();
        self.tails.iter().any(|follower| follower.served != written && !core.is_blocked(follower.id))
    }
}

/// One text message for each record, after one for those that went by.
fn frames(batch: &Batch) -> Vec<u8> {
    let mut frames = Vec::new();
    if batch.skipped > 0 {
        let skipped = json!({ "kind": "skipped", "type": "skipped", "count": batch.skipped });
        encode_frame(&mut frames, OpCode::Text, false, skipped.to_string().as_bytes());
    }
    for record in &batch.records {
        // What is held can be written: its keys are texts.
        let Ok(text) = serde_json::to_vec(&**record) else { continue };
        encode_frame(&mut frames, OpCode::Text, false, &text);
    }
    frames
}
