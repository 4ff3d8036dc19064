//! What a deployment is started with: every seed draws its own bounds and its own kinds of rooms.

use fanfare_core::{Compression, Delivery, Devices, HistoryRule, Options, QueueRule, RoomType, Slow};

use crate::Random;

/// Rooms of every kind: who reads too slowly is disconnected, loses the oldest, or all but the newest; messages are
/// acknowledged, or wait for who is away.
pub(crate) const ROOMS: [&str; 6] = ["a:1", "a:2", "b:1", "c:1", "d:1", "q:1"];
/// The type whose messages are acknowledged.
pub(crate) const ACKNOWLEDGED: &str = "d";
/// What people are.
pub(crate) const ROLES: [&str; 2] = ["nurse", "surgeon"];

/// The options of one play.
pub(crate) fn options(random: &mut Random) -> Options {
    let mut options = Options::default();
    let mut pick = |of: &[usize]| of[random.below(of.len())];
    options.limits.backlog_bytes = pick(&[2_000, 20_000, 1 << 20]);
    options.limits.history_bytes = pick(&[3_000, 100_000, 16 << 20]);
    options.limits.replay_bytes = pick(&[1_500, 100_000]).min(options.limits.backlog_bytes);
    options.limits.store_queue = pick(&[2, 65_536]);
    // A retry is always known: what happens after the window is a new message by right.
    options.limits.message_id_window_ms = u64::MAX / 4_000;
    let history = HistoryRule { size: pick(&[0, 5, 1_000]) as u32, ttl_ms: pick(&[20_000, 300_000]) as u64 };
    options.store = pick(&[0, 1]) == 1;
    let queue = QueueRule { size: pick(&[5, 1_000]) as u32, ttl_ms: pick(&[60_000, 3_600_000]) as u64 };
    let delivery = Delivery::AtLeastOnce { ack_wait_ms: 10_000, max_deliver: 3 };
    let devices = [Devices::Any, Devices::Each][pick(&[0, 0, 1])];
    let slow = [Slow::Disconnect, Slow::DropOldest][pick(&[0, 0, 1])];
    let compression = Compression {
        level: 1,
        threshold_bytes: pick(&[100, 1_024]),
        shared_threshold_bytes: pick(&[0, 200]),
        reset_every: pick(&[2, 5, 64]) as u32,
        ..Compression::default()
    };
    options.limits.compressors = pick(&[1, 2, 64]);
    let mut lasts = || options.store && pick(&[0, 1]) == 1;
    let of = |name, slow, durable| RoomType { slow, history, durable, compression, ..RoomType::open(name) };
    options.room_types = vec![
        of("a", Slow::Disconnect, options.store),
        of("b", Slow::DropOldest, false),
        of("c", Slow::Conflate, false),
        RoomType { delivery, queue, devices, ..of(ACKNOWLEDGED, slow, lasts()) },
        RoomType { queue, ..of("q", Slow::Disconnect, lasts()) },
    ];
    options.inbox.queue = QueueRule { size: queue.size, ..options.inbox.queue };
    options.inbox.durable = lasts();
    options.inbox.compression = compression;
    options.default_type.compression = compression;
    options.broadcast_roles = vec![ROLES[0].to_owned()];
    options
}
