//! `[audit]`: who did what, kept in files.

use std::path::PathBuf;

use super::section::Section;
use super::security::{Secret, load};

/// Where and how it is kept.
#[derive(Clone, Debug)]
pub struct Audit {
    /// The file that is written to; nothing: lines go to the log.
    pub path: Option<PathBuf>,
    /// Bytes from which on a file is full.
    pub rotate_bytes: u64,
    /// Full files to keep; 0: all.
    pub keep: u64,
    /// Whether each published message has a line.
    pub publishes: bool,
    /// What happens while lines cannot be written.
    pub on_full: OnFull,
    /// What checkpoints are signed with.
    pub key: Option<Secret>,
    /// Lines that may wait for the disk.
    pub queue: usize,
    /// SHA-256 of the configuration's text, for the `start` line.
    pub config_sha256: String,
}

/// What happens while lines cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFull {
    /// All goes on; a line tells how many are missing.
    Mark,
    /// Nobody new comes in.
    RefuseSessions,
}

/// Reads `[audit]`.
pub(super) fn read(mut section: Section<'_>, config_sha256: String) -> Audit {
    let path = section.text("path").map(PathBuf::from);
    if path.as_deref().is_some_and(crate::audit::has_number) {
        section.problem("path", "must not end in a number: full files get one, like audit.1.jsonl");
    }
    let rotate_bytes = section.size("rotate_size", 64 << 20, 65_536..=1 << 40) as u64;
    let keep = section.number("keep", 0, 0..=1_000_000);
    let publishes = section.flag("publishes", false);
    let choices = [("mark", OnFull::Mark), ("refuse", OnFull::RefuseSessions)];
    let on_full = section.choice("on_full", OnFull::Mark, &choices);
    let key_file = section.text("key_file");
    let key = key_file.as_ref().and_then(|path| {
        let key = load(path).map(|text| text.trim_end().as_bytes().to_vec());
        let key = key.and_then(|bytes| crate::audit::key(&bytes).map(|_| Secret(bytes)));
        key.map_err(|message| section.problem("key_file", message)).ok()
    });
    let queue = section.number("queue", 65_536, 16..=1 << 24);
    if path.is_none() && (publishes || key_file.is_some() || on_full == OnFull::RefuseSessions) {
        let message =
            "is required for `publishes`, `key_file` and `on_full`: without it, lines go to the log";
        section.problem("path", message);
    }
    section.finish();
    Audit { path, rotate_bytes, keep, publishes, on_full, key, queue, config_sha256 }
}
