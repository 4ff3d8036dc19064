//! A browser, where there is one.

use std::path::PathBuf;

/// Chromium under any of its names. Without one a test is skipped, except on the machines that decide.
pub(crate) fn chromium() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths)
        .flat_map(|path| names.map(|name| path.join(name)))
        .find(|path| path.exists());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "a browser is needed: apt install chromium");
        eprintln!("SKIPPED: no chromium is here");
    }
    found
}
