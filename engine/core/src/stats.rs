//! What a shard has done so far; the shell publishes it as metrics.

/// Counts since the start, and gauges of now.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "the names are the metrics' names, explained where those are")]
pub struct Stats {
    /// Rooms that have something of each service, in the order of [`crate::service::names`].
    pub services: Vec<u64>,
    /// What each has let go of because a bound was reached.
    pub services_dropped: Vec<u64>,
    pub connections: u64,
    pub home_rooms: u64,
    pub local_rooms: u64,
    pub member_rooms: u64,
    pub opened: u64,
    pub welcomed: u64,
    pub commands: u64,
    pub refused: u64,
    pub rate_limited: u64,
    pub inquiries: u64,
    pub inquiries_denied: u64,
    pub inquiries_unanswered: u64,
    pub inquiries_waiting: u64,
    pub rate_users: u64,
    pub published: u64,
    pub repeated: u64,
    pub recovered: u64,
    pub unrecovered: u64,
    pub kept_messages: u64,
    pub kept_bytes: u64,
    pub evicted: u64,
    pub message_ids: u64,
    pub subscribers: u64,
    pub acknowledged: u64,
    pub redelivered: u64,
    pub buried: u64,
    pub overflowed: u64,
    pub expired_subscribers: u64,
    pub dead_letters: u64,
    pub dead_letters_dropped: u64,
    pub store_waiting: u64,
    pub store_behind: u64,
    pub sessions: u64,
    pub resumed: u64,
    pub encoded: u64,
    pub compressed: u64,
    pub delivered: u64,
    pub delivered_bytes: u64,
    pub flushes: u64,
    pub flushed_sends: u64,
    pub tick_bytes: u64,
    pub backlog_bytes: u64,
    pub backlogs: u64,
    pub slow_disconnects: u64,
    pub shed: u64,
    pub contexts: u64,
    pub context_resets: u64,
    /// Deliveries to connections with permessage-deflate, by the kind of room: the default type, users' own rooms, then
    /// [`crate::Options::room_types`].
    pub wire: Vec<Wire>,
    /// Connections ended, by close code: index is `number - 1000` for RFC 6455's, `number - 4000 + 16` for ours.
    pub closes: [u64; 32],
}

/// What compression does to the deliveries of one kind of room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wire {
    /// Bytes of frames as they would be without.
    pub plain_bytes: u64,
    /// Bytes of frames as they are.
    pub sent_bytes: u64,
    /// Frames that refer to those before them.
    pub shared: u64,
    /// Frames compressed on their own.
    pub alone: u64,
    /// Frames that are not compressed.
    pub plain: u64,
}

impl Stats {
    pub(crate) fn closed(&mut self, number: u16) {
        let index = match number {
            1_000..=1_015 => number - 1_000,
            4_000..=4_015 => number - 4_000 + 16,
            _ => return,
        };
        self.closes[usize::from(index)] += 1;
    }
}
