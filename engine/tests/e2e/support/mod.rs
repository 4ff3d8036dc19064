//! What every test needs: the real binary, and clients that are not ours.

mod backend;
mod browser;
mod client;
mod folder;
mod http;
mod raw;
mod server;

pub(crate) use backend::{Backend, Post, SECRET, Said};
pub(crate) use browser::chromium;
pub(crate) use client::{Client, Ended};
pub(crate) use folder::{Folder, small_disk};
pub(crate) use http::{Answer, api, request};
pub(crate) use raw::{Raw, frame, upgrade};
pub(crate) use server::{Options, Server, deployments, signed, token};

use std::time::{Duration, Instant};

/// Long enough for anything that will happen at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// Asks until the answer is some, or fails with what was waited for.
pub(crate) fn eventually<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    eventually_within(PATIENCE, what, ask)
}

/// The same for what takes its time, like a browser that starts beside other tests.
pub(crate) fn eventually_within<T>(patience: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
