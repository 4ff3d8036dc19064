//! What a restart must leave as it was: rooms that are durable keep their count and every message that anybody heard of.

use std::collections::{BTreeSet, HashMap};

use fanfare_core::StoredRoom;
use fanfare_protocol::{Body, RoomName};
use serde_json::Value;

use crate::{Ledger, World};

/// For so long a room that nobody is in keeps its count.
pub(crate) const KEPT_MS: u64 = 300_000;

/// Right after a restart: compares what people know with what the store has. Where messages had to go for others,
/// only the count can be judged.
///
/// # Panics
/// Something is gone, or something else is in its place.
pub(crate) fn check(world: &World, ledger: &Ledger) {
    let stored: HashMap<String, StoredRoom> =
        world.disk.rooms().map(|room| (room.room.to_string(), room)).collect();
    let now_ms = world.now.mono_ms();
    let numbers: HashMap<&str, BTreeSet<(u64, u64)>> =
        stored.iter().map(|(name, room)| (name.as_str(), contents(room))).collect();
    for (name, epoch, offset, message) in ledger.places() {
        let room_name = RoomName::restore(name).expect("rooms are named well");
        if !world.is_durable(&room_name) {
            continue;
        }
        let room_type = world.options.type_of(&room_name);
        let rule = room_type.kept();
        let told = ledger.message(message);
        let is_kept = !world.has_evicted() && rule.size > 0 && told.at_ms + rule.ttl_ms > now_ms;
        if !is_kept && told.at_ms + KEPT_MS <= now_ms {
            continue;
        }
        let what = || format!("{name} {epoch} {offset}: {told:?}");
        let room = stored.get(name).unwrap_or_else(|| panic!("{}: the room is gone", what()));
        assert_eq!(room.epoch.to_string(), epoch, "{}: the count began anew", what());
        assert!(room.offset >= offset, "{}: the room stands at {}", what(), room.offset);
        // Of those that wait for somebody the least urgent go first.
        let later = if room_type.queue.size > 0 { room.offset } else { room.offset - offset + 1 };
        if is_kept && later <= u64::from(rule.size) {
            assert!(numbers[name].contains(&(offset, message as u64)), "{} is gone", what());
        }
    }
}

/// The places of a stored room's messages, and their numbers.
fn contents(room: &StoredRoom) -> BTreeSet<(u64, u64)> {
    let number = |body: &Body| match body {
        Body::Json(bytes) => serde_json::from_slice::<Value>(bytes).expect("it was JSON")["number"].as_u64(),
        Body::MessagePack(_) => None,
    };
    room.entries.iter().filter_map(|entry| Some((entry.offset, number(&entry.body)?))).collect()
}

/// When everything is written: the store keeps no more of a room than the room does.
///
/// # Panics
/// It does.
pub(crate) fn check_sizes(world: &World) {
    for room in world.disk.rooms() {
        let room_type = world.options.type_of(&room.room);
        let (stored, size) = (room.entries.len(), room_type.kept().size as usize);
        // What waits for somebody does not go in order, and the store lets go of the oldest only.
        assert!(stored <= size || room_type.queue.size > 0, "{}: {stored} stored of {size}", room.room);
    }
}
