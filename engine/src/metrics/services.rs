//! How much services have to remember.

use super::Snapshot;
use super::openmetrics::Family;

/// Rooms that have something of each service.
pub(super) fn families(snapshots: &[Snapshot]) -> Vec<Family> {
    let sample = |(kind, name): (usize, &str)| {
        let of_shards = snapshots.iter().filter_map(|of| of.stats.services.get(kind));
        (name.to_owned(), of_shards.sum())
    };
    vec![Family {
        name: "services",
        help: "Rooms that have something of a service",
        unit: None,
        gauge: true,
        label: "service",
        samples: fanfare_core::service::names().enumerate().map(sample).collect(),
    }]
}
