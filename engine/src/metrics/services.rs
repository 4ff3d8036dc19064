//! How much services have to remember.

use super::Snapshot;
use super::openmetrics::Family;

/// Rooms that have something of each service, and what each had to let go of.
pub(super) fn families(snapshots: &[Snapshot]) -> Vec<Family> {
    let samples = |of_shard: fn(&Snapshot) -> &[u64]| {
        let names = fanfare_core::service::names().enumerate();
        let sum = |kind| snapshots.iter().filter_map(|of| of_shard(of).get(kind)).sum();
        names.map(|(kind, name)| (name.to_owned(), sum(kind))).collect()
    };
    vec![
        Family {
            name: "services",
            help: "Rooms that have something of a service",
            unit: None,
            gauge: true,
            label: "service",
            samples: samples(|of| &of.stats.services),
        },
        Family {
            name: "service_dropped",
            help: "What a service has let go of because a bound was reached",
            unit: None,
            gauge: false,
            label: "service",
            samples: samples(|of| &of.stats.services_dropped),
        },
    ]
}
