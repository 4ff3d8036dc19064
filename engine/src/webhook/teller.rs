//! A shard's side of the webhooks: what is wanted is handed over, and never waited for.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;

use fanfare_core::{Fact, FactKind, Now, RoomPattern, ShardId};

use super::status::Status;
use crate::config::Webhook;

/// About what an event takes beside its message.
const EVENT_BYTES: usize = 512;

/// Something that happened, on its way to a backend.
#[derive(Debug)]
pub(super) struct Notice {
    pub(super) at_unix_ms: u64,
    pub(super) shard: ShardId,
    pub(super) fact: Fact,
}

impl Notice {
    /// About how many bytes it keeps alive.
    pub(super) fn bytes(&self) -> usize {
        EVENT_BYTES + self.fact.message.as_ref().map_or(0, |told| told.entry.body.len())
    }
}

#[derive(Clone, Debug)]
struct Subscription {
    events: Arc<[FactKind]>,
    rooms: Arc<[RoomPattern]>,
    message_types: Arc<[RoomPattern]>,
    queue_max: u64,
    queue_bytes_max: u64,
    lanes: Vec<Sender<Arc<Notice>>>,
    status: Arc<Status>,
}

/// A shard's way to all webhooks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Teller(Vec<Subscription>);

impl Teller {
    pub(super) fn add(&mut self, webhook: &Webhook, lanes: Vec<Sender<Arc<Notice>>>, status: Arc<Status>) {
        self.0.push(Subscription {
            events: webhook.events.clone().into(),
            rooms: webhook.rooms.clone().into(),
            message_types: webhook.message_types.clone().into(),
            queue_max: webhook.queue as u64,
            queue_bytes_max: webhook.queue_bytes as u64,
            lanes,
            status,
        });
    }

    /// Tells whoever wants to know.
    pub(crate) fn tell(&self, shard: ShardId, now: Now, fact: &Fact) {
        let mut notice: Option<Arc<Notice>> = None;
        for subscription in self.0.iter().filter(|of| of.wants(fact)) {
            let notice = notice.get_or_insert_with(|| {
                Arc::new(Notice { at_unix_ms: now.unix_ms, shard, fact: fact.clone() })
            });
            subscription.hand_over(notice);
        }
    }

    /// The shard ends: the lanes end with the last of them.
    pub(crate) fn leave(&mut self) {
        self.0.clear();
    }
}

impl Subscription {
    fn wants(&self, fact: &Fact) -> bool {
        let fits = |patterns: &[RoomPattern], name: &str| patterns.iter().any(|of| of.matches(name));
        self.events.contains(&fact.kind)
            && match fact.kind {
                FactKind::Connected => true,
                // Who never said who it is was never there: anybody could fill the queue with such.
                FactKind::Closed => !fact.user_id.is_empty(),
                FactKind::Published | FactKind::Signalled => fact.message.as_ref().is_some_and(|told| {
                    fits(&self.message_types, told.entry.event.as_str())
                        && fits(&self.rooms, told.room.as_str())
                }),
                _ => fits(&self.rooms, &fact.subject),
            }
    }

    /// The newest is dropped when too many wait: what the backend gets is then a beginning without gaps, and an old event
    /// that is tried again is not lost to a new one.
    fn hand_over(&self, notice: &Arc<Notice>) {
        let status = &self.status;
        let bytes = notice.bytes() as u64;
        let queued = status.queued.fetch_add(1, Ordering::Relaxed);
        let queued_bytes = status.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        let fits = queued < self.queue_max && queued_bytes < self.queue_bytes_max;
        let lane = if self.lanes.len() == 1 { 0 } else { self.lane(&notice.fact) };
        if !fits || self.lanes[lane].send(Arc::clone(notice)).is_err() {
            status.queued.fetch_sub(1, Ordering::Relaxed);
            status.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            status.dropped.fetch_add(1, Ordering::Relaxed);
            status.untold.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What happens in one room goes one way, and what happens to one client.
    fn lane(&self, fact: &Fact) -> usize {
        let mut hasher = DefaultHasher::new();
        let key = if fact.subject.is_empty() { &fact.client_id } else { &fact.subject };
        key.hash(&mut hasher);
        (hasher.finish() % self.lanes.len() as u64) as usize
    }
}
