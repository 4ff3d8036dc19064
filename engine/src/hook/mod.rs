//! Asking a backend before something is done. The core decides when and waits; here is the asking.
//!
//! ```text
//! core: Effects::inquiries -> Asker -> queue -> a thread posts -> Mesh::Verdict -> the shard's inbox -> core
//! ```

mod answer;
mod asker;
mod circuit;
mod question;
mod status;

pub(crate) use asker::{Asker, start};
