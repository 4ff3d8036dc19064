//! What the core asks of the shell. The shell owns the lists, performs them and clears them.

use std::collections::VecDeque;

use bytes::Bytes;
use fanfare_protocol::{Body, Refusal};

use crate::durable::Write;
use crate::ending::Search;
use crate::fact::Fact;
use crate::hook::{Inquiry, Verdict};
use crate::id::{ConnectionId, RequestId, ShardId};
use crate::mesh::Mesh;
use crate::publication::Placed;
use crate::service::DenialChange;
use crate::view::Rows;

/// Filled by [`crate::Core`], performed by the shell once a tick.
#[derive(Debug)]
pub struct Effects {
    shard: ShardId,
    /// For this shard itself: the same messages as between shards, handled before the input is done.
    pub(crate) own: VecDeque<Mesh>,
    /// For other shards, in order.
    pub mesh: Vec<(ShardId, Mesh)>,
    /// For waiting HTTP requests.
    pub answers: Vec<(RequestId, Answer)>,
    /// Connections whose socket must be closed now; their id means nothing any more.
    pub closed: Vec<ConnectionId>,
    /// Connections to which nothing will be sent any more: their peer is told so (a half-close), and what it
    /// still sends is read until it closes too.
    pub finished: Vec<ConnectionId>,
    /// Connections for which the shell must (true) or need no longer (false) wait for room to write.
    pub writable: Vec<(ConnectionId, bool)>,
    /// What happened, for whoever watches.
    pub facts: Vec<Fact>,
    /// What a backend is asked. Each is answered by [`Mesh::Verdict`], or given up when its time is over.
    pub inquiries: Vec<Inquiry>,
    /// Connections whose addresses only the shell knows; each is answered with [`crate::Input::Found`].
    pub searches: Vec<Search>,
    /// Who is kept out from now on, and who no longer: to be noted first, and then to end connections ([`DenialChange::ending`]).
    pub denials: Vec<DenialChange>,
    /// What must survive the process, in order. To be handed to the store before [`Effects::mesh`] is sent.
    pub writes: Vec<Write>,
}

impl Effects {
    /// No effects, of one shard.
    pub fn new(shard: ShardId) -> Self {
        Self {
            shard,
            own: VecDeque::new(),
            mesh: Vec::new(),
            answers: Vec::new(),
            closed: Vec::new(),
            finished: Vec::new(),
            writable: Vec::new(),
            facts: Vec::new(),
            inquiries: Vec::new(),
            searches: Vec::new(),
            denials: Vec::new(),
            writes: Vec::new(),
        }
    }

    pub(crate) fn send(&mut self, to: ShardId, message: Mesh) {
        if to == self.shard { self.own.push_back(message) } else { self.mesh.push((to, message)) }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.mesh.is_empty()
            && self.answers.is_empty()
            && self.closed.is_empty()
            && self.finished.is_empty()
            && self.writable.is_empty()
            && self.facts.is_empty()
            && self.inquiries.is_empty()
            && self.searches.is_empty()
            && self.denials.is_empty()
            && self.writes.is_empty()
    }
}

/// An answer to an HTTP request.
#[derive(Debug)]
pub enum Answer {
    /// One item of a publish: its number and its place.
    Published(u32, Result<Placed, Refusal>),
    /// One shard's rows.
    Rows(Rows),
    /// Kept messages, as a JSON object.
    Kept(Bytes),
    /// A service's answer: a JSON object.
    Done(Result<Body, Refusal>),
    /// A command, or one item of a publish (its number), came too soon: why, and in how many milliseconds it may come again.
    Limited(u32, String, u64),
    /// What a backend said about one item of a publish: its number, and the answer.
    Verdict(u32, Verdict),
}
