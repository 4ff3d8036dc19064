//! What a deployment is started with: every seed draws its own bounds and its own kinds of rooms.

use fanfare_core::{HistoryRule, Options, RoomType, Slow};

use crate::Random;

/// Rooms of every kind: who reads too slowly is disconnected, loses the oldest, or all but the newest.
pub(crate) const ROOMS: [&str; 4] = ["a:1", "a:2", "b:1", "c:1"];
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
    let of = |name, slow| RoomType { slow, history, ..RoomType::open(name) };
    let lasting = RoomType { durable: options.store, ..of("a", Slow::Disconnect) };
    options.room_types = vec![lasting, of("b", Slow::DropOldest), of("c", Slow::Conflate)];
    options
}
