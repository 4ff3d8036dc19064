//! How full the inspector is, where it is on.

use super::openmetrics::Family;
use crate::inspector::{Inspector, Kind};

/// Records, rooms and tails.
pub(super) fn families(inspector: &Inspector) -> Vec<Family> {
    let family = |name, help, gauge, label, samples| Family { name, help, unit: None, gauge, label, samples };
    let one = |value| vec![(String::new(), value)];
    let records = inspector.records();
    let by_kind = |pick: fn(u64, u64) -> u64| {
        let sample = |kind: Kind| {
            let ring = records.ring(kind);
            (kind.plural().to_owned(), pick(ring.written(), ring.len() as u64))
        };
        Kind::ALL.map(sample).to_vec()
    };
    vec![
        family(
            "inspector_records",
            "Records that the inspector holds",
            true,
            "kind",
            by_kind(|_, held| held),
        ),
        family(
            "inspector_records_dropped",
            "Records that made room for newer ones",
            false,
            "kind",
            by_kind(|written, held| written - held),
        ),
        family("inspector_rooms", "Rooms that are counted for", true, "", one(records.rooms().len() as u64)),
        family(
            "inspector_rooms_evicted",
            "Rooms whose counts made room for others",
            false,
            "",
            one(records.rooms().evicted()),
        ),
        family("inspector_tails", "Live tails that are open", true, "", one(inspector.tails() as u64)),
        family(
            "inspector_skipped",
            "Records that tails were not sent because they read too slowly",
            false,
            "",
            one(inspector.skipped()),
        ),
    ]
}
