//! What compression does, by type of room.

use fanfare_core::Wire;
use prometheus_client::registry::Unit;

use super::Snapshot;
use super::openmetrics::Family;
use crate::process::Process;

/// Deliveries to connections with permessage-deflate: bytes before and after, and in which form.
pub(super) fn families(process: &Process, snapshots: &[Snapshot]) -> Vec<Family> {
    let config = &process.config;
    let named = config.room_types.iter().map(|room_type| &*room_type.name);
    let types: Vec<&str> = ["default", "@user"].into_iter().chain(named).collect();
    let family = |name, help, unit, pick: fn(&Wire) -> u64| Family {
        name,
        help,
        unit,
        gauge: false,
        label: "room_type",
        samples: types
            .iter()
            .enumerate()
            .map(|(kind, name)| {
                let of_shards = snapshots.iter().filter_map(|of| of.stats.wire.get(kind));
                ((*name).to_owned(), of_shards.map(pick).sum())
            })
            .collect(),
    };
    let bytes = || Some(Unit::Bytes);
    vec![
        family(
            "compression_before",
            "Bytes of frames to connections with compression, without it",
            bytes(),
            |of| of.plain_bytes,
        ),
        family(
            "compression_after",
            "Bytes of frames to connections with compression, as sent",
            bytes(),
            |of| of.sent_bytes,
        ),
        family("compression_in_step", "Frames sent compressed with a context that all share", None, |of| {
            of.shared
        }),
        family("compression_alone", "Frames sent compressed on their own", None, |of| of.alone),
        family("compression_none", "Frames sent as they are to connections with compression", None, |of| {
            of.plain
        }),
    ]
}
