//! What Fanfare keeps beyond the process: rooms with their latest messages, cursors, dead letters, publishers' ids.
//!
//! One [redb] file. [`Store::apply`] is one transaction: synced when it returns, done wholly or not at all. There is
//! no thread and no batching here; whoever calls gathers the writes of many publishers into one call.
//!
//! | file | answers |
//! | --- | --- |
//! | `store` | opening, one transaction, getting well after a failed one |
//! | `plan` | how many writes become few: a room's row once, one range for all its trims |
//! | `load` | what survived, room by room, so that a damaged one costs only itself |
//! | `record` | how a record is written: a version, the body, a checksum over key and body |
//! | `tables` | which tables there are |
//! | `backend` | the disk under redb, kept across a failure |
//! | `overlay` | a file that is read only: writes stay in memory |
//! | `inspect`, `compact`, `verify`, `salvage` | what an operator asks of a file |
//!
//! | invariant | where |
//! | --- | --- |
//! | after a failed transaction none succeeds until [`Store::heal`] | `store` |
//! | a commit whose sync failed is not built upon | `store::begin` |
//! | a record is given back only if its checksum fits its key and its body | `record` |
//! | a room is given back only if as many messages are there as its row counts | `load` |
//! | a damaged page is found before anything is written ([`Check::Pages`]) | `store::open_database` |
//! | `inspect` and `verify` never change the file | `overlay` |
#![forbid(unsafe_code)]

mod backend;
mod compact;
mod error;
mod inspect;
mod load;
mod overlay;
mod plan;
mod record;
mod salvage;
mod store;
mod tables;
mod verify;

pub use compact::{Compacted, compact};
pub use error::{Problem, StoreError};
pub use inspect::{RoomSize, Summary, inspect};
pub use load::{Damage, Damaged, Loaded, Stored};
pub use salvage::{Salvaged, salvage};
pub use store::{Applied, Check, Store};
pub use verify::{Pages, Verified, verify};
