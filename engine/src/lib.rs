//! The Fanfare server: configuration, HTTP, authentication, and the shards' loops around `fanfare-core`.
//!
//! `docs/architecture.md` shows how a message travels. Decisions are made in `fanfare-core`; bytes are read and
//! made in `fanfare-protocol`; system calls are in `fanfare-sys`; here is what connects them.
#![forbid(unsafe_code)]

mod addresses;
mod audit;
pub mod auth;
pub mod cli;
mod clock;
pub mod config;
mod drain;
mod ended;
mod hook;
mod http;
mod inspector;
mod live;
mod log;
mod metrics;
mod percent;
pub mod process;
pub mod server;
mod shard;
mod store;
mod webhook;

pub use log::{set_level as set_log_level, start as start_log};
