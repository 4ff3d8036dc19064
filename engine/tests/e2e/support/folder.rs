//! Places on disk.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder of its own, gone at the end.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("fanfare-folder-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What makes a folder a small file system, in a mount namespace of the server's own; nothing where that is not allowed.
pub(crate) fn small_disk(folder: &Path, size: &str) -> Option<String> {
    let possible = std::process::Command::new("unshare").args(["-rm", "true"]).status();
    if !possible.is_ok_and(|status| status.success()) {
        eprintln!("skipped: this machine allows no mount namespaces");
        return None;
    }
    Some(format!("mount -t tmpfs -o size={size} tmpfs {}", folder.display()))
}
