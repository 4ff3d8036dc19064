//! What compression costs and saves: of the compressor alone, and of the engine with clients.
//!
//! Tables are in Markdown, for docs/performance.md to take; the JSON file has all that was measured.

mod markdown;
mod parts;
mod wire;

use serde_json::{Value, json};

use crate::server::Binaries;

/// What all runs share.
#[derive(Debug)]
pub(crate) struct Compression<'a> {
    /// The programs.
    pub(crate) binaries: &'a Binaries,
    /// Core of the server.
    pub(crate) server_core: u32,
    /// Core of the load generator.
    pub(crate) client_core: u32,
    /// How often each mode is measured.
    pub(crate) rounds: u32,
    /// Less of everything.
    pub(crate) quick: bool,
}

impl Compression<'_> {
    /// Measures what is wanted and prints the tables; returns what stands in the JSON file and how many runs failed.
    pub(crate) fn measure(&self, wants: impl Fn(&str) -> bool) -> (Vec<Value>, usize) {
        let (mut found, mut failed) = (Vec::new(), 0);
        if wants("parts") {
            let work = if self.quick { parts::QUICK } else { parts::FULL };
            let (messages, short) = parts::measure(&work);
            println!("{}\n{}", parts::messages_table(&messages), parts::short_table(&short));
            found.push(json!({"name": "parts", "messages": messages, "short": short}));
        }
        if wants("wire") {
            let (loads, failures) = wire::measure(self);
            println!("{}", wire::table(&loads));
            found.push(json!({"name": "wire", "loads": loads}));
            failed = failures;
        }
        (found, failed)
    }
}
