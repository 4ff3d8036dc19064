//! Fanfare's only `unsafe` code and raw system calls.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`flush`] | one buffer to many sockets: through the send ring or a plain loop |
//! | [`readiness`] | which sockets can be read or written: one `epoll` set per shard |
//! | [`inbox`] | a shard's bounded lock-free queue, and the wake-up of a sleeping shard |
//! | [`socket`] | listeners, `recv` and `send` that never block |
//! | [`cpu`], [`process`] | pinning, allowed cores, descriptor limits, resident memory |
//! | [`memory`] | giving freed memory back to the system |
//!
//! What is sent, to whom and why is decided elsewhere; nothing here knows a message or a room.

pub mod cpu;
pub mod flush;
pub mod inbox;
pub mod memory;
pub mod process;
pub mod readiness;
mod send_loop;
mod send_ring;
pub mod socket;
mod wake;

pub use flush::{Flusher, SendError, Target, Unsent};
pub use inbox::Inbox;
pub use readiness::{Interest, Readiness, Ready};
