//! `[inspector]`: what the server remembers of what passes through it, for who wants to look.

use super::section::Section;

/// The inspector's bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inspector {
    /// Whether it is there at all; by default in development mode only.
    pub enabled: bool,
    /// Whether it keeps what messages say, up to 4 KiB of each.
    pub payloads: bool,
    /// Messages whose headers it keeps.
    pub messages: usize,
    /// Events of connections that it keeps.
    pub events: usize,
    /// Errors that it keeps.
    pub errors: usize,
    /// Rooms that it counts for.
    pub rooms: usize,
}

/// Reads `[inspector]`.
pub(super) fn read(mut section: Section<'_>, development: bool) -> Inspector {
    let inspector = Inspector {
        enabled: section.flag("enabled", development),
        payloads: section.flag("payloads", false),
        messages: section.number("messages", 1_000, 1..=100_000),
        events: section.number("events", 1_000, 1..=100_000),
        errors: section.number("errors", 1_000, 1..=100_000),
        rooms: section.number("rooms", 1_000, 1..=10_000),
    };
    section.finish();
    inspector
}
