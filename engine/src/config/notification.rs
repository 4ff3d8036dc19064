//! `[notification]`: bounds of notifications.

use std::time::Duration;

use fanfare_core::service::NotificationRules;

use super::section::Section;

const DAY_MS: u64 = 24 * 3_600_000;
const YEAR_MS: u64 = 365 * DAY_MS;

pub(super) fn read(mut section: Section<'_>) -> NotificationRules {
    let ms = |duration: Duration| duration.as_millis() as u64;
    let usual = NotificationRules::default();
    let of_ms = Duration::from_millis;
    let rules = NotificationRules {
        unread_max: section.number("unread_max", usual.unread_max, 1..=10_000),
        broadcasts_max: section.number("broadcasts_max", usual.broadcasts_max, 1..=200),
        ttl_ms: ms(section.duration("ttl", of_ms(usual.ttl_ms), 1_000..=YEAR_MS)),
        broadcast_ttl_ms: ms(section.duration(
            "broadcast_ttl",
            of_ms(usual.broadcast_ttl_ms),
            1_000..=YEAR_MS,
        )),
    };
    section.finish();
    rules
}
