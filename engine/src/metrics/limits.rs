//! Limits that an operator sets, beside how near they are, and what an operator has set for an emergency.

use super::openmetrics::Family;
use crate::process::Process;

/// Bounds of the whole process, by the names of their settings, and what counts against them where nothing else tells.
pub(super) fn families(process: &Process) -> Vec<Family> {
    let live = process.live();
    let limits = &live.config.limits;
    let full = process.addresses.fullness();
    let denials = process.denials.counts();
    let family = |name, help, gauge, label, samples: &[(&str, u64)]| Family {
        name,
        help,
        unit: None,
        gauge,
        label,
        samples: samples.iter().map(|(value, count)| ((*value).to_owned(), *count)).collect(),
    };
    let limited = [
        ("connections", limits.connections as u64),
        ("connections_per_address", limits.connections_per_address.into()),
        ("connections_per_user", limits.connections_per_user.into()),
        ("http_connections", limits.http_connections as u64),
        ("upgrades_per_minute", limits.upgrades_per_minute.into()),
    ];
    let mode = live.options.mode;
    let modes = [
        ("read_only", u64::from(mode.read_only)),
        ("shed", mode.shed.into()),
        ("uncompressed", u64::from(!mode.compression)),
    ];
    let one = |name, help, gauge, count: usize| family(name, help, gauge, "", &[("", count as u64)]);
    vec![
        family("limit", "Limits as they are set now; 0: none", true, "limit", &limited),
        family("mode", "What an operator has set for an emergency; 0: nothing", true, "mode", &modes),
        one("addresses", "Addresses with a connection, where those are limited", true, full.addresses),
        one("address_connections", "Connections of the address with most", true, full.most as usize),
        one("address_rates", "Addresses whose rate is remembered", true, full.rates),
        one("address_unwatched", "Upgrades of addresses beyond those", false, full.unwatched as usize),
        one("bans", "Users, clients and addresses that are kept out", true, denials.bans),
        one("revocations", "Tokens and keys that were revoked", true, denials.revocations),
    ]
}
