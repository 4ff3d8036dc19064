//! Every decision of one shard, as a pure state machine.
//!
//! [`Core::handle`] takes the time and one [`Input`] and appends to [`Effects`]; bytes for sockets are taken
//! out by flushing ([`Core::begin_flush`], [`Core::direct`], [`Core::next_batch`], [`Core::finish_flush`]).
//! There is no I/O here, no clock, no randomness but a seed's, so a whole deployment can be simulated.
//!
//! State is split by owner: `home` are the rooms this shard orders, `local` the connections it holds. They
//! talk through [`Mesh`] only, on one shard as between shards.
//!
//! | invariant | where |
//! | --- | --- |
//! | a room's offsets rise by exactly one | `home::publish` asserts it |
//! | a member gets every message after its join, once, in order | the queue's order, `local::group` |
//! | a prepared frame never changes | [`Prepared`] has no way to |
//! | behind a backlog everything waits | `local::shard::Local::write` |
//! | only messages are overtaken, and only by more urgent ones | `local::overtake` |
//! | a frame that was begun is finished first | `local::backlog` |
//! | an id of a closed connection matches nothing | `local::connections` |
//! | nobody hears of a durable message before the store has it | `home::publish`, `home::store` |
//! | cursors never go back, and never pass what was delivered | `home::subscribers`, `command::ack` |
//! | nobody waits for a backend for ever, and later commands not before earlier ones | `local::inquiries` |
//! | a message costs work per group and shard, never per member | `local::deliver` |
#![forbid(unsafe_code)]

mod class;
mod close;
mod command;
mod core;
mod durable;
mod effect;
mod encoder;
mod ending;
mod entry;
mod fact;
mod home;
mod hook;
mod id;
mod identity;
mod input;
mod latency;
mod local;
mod mesh;
mod mode;
mod names;
mod network;
mod options;
mod pattern;
mod permission;
mod prepared;
mod publication;
mod rate;
mod receive;
mod rejoin;
mod rights;
mod room_type;
pub mod service;
mod stats;
mod survey;
mod time;
mod view;

pub use class::Class;
pub use close::Close;
pub use core::Core;
pub use durable::{Cursor, DeadLetter, StoredId, StoredRoom, StoredState, Subscriber, Write};
pub use effect::{Answer, Effects};
pub use ending::{Ending, Search, Who};
pub use entry::Entry;
pub use fact::{Fact, FactKind, Label, Told, Watch};
pub use hook::{About, Changes, Hooks, Inquirer, Inquiry, Verdict};
pub use id::{Address, ConnectionId, Epoch, RequestId, ShardId};
pub use identity::{Identity, may_speak_for};
pub use input::{Input, Opening, Window};
pub use latency::Latency;
pub use local::{Batch, Rest};
pub use mesh::{
    Acknowledgement, Asker, Called, CatchUp, JoinKind, Lookup, Mesh, Origin, Reader, Receipt, Replay, Report,
    Roll, ToHome, ToLocal,
};
pub use mode::{Mode, SHED_MAX};
pub use network::{Network, NoNetwork};
pub use options::{Application, Heartbeat, Limits, Options, Seeds};
pub use pattern::RoomPattern;
pub use permission::{PERMISSIONS, Permission, Permissions, RoleRule, usual_of};
pub use prepared::{Prepared, Turn};
pub use publication::{Placed, Publication};
pub use rate::{RATE_RULES_MAX, Rate, RatePer, RateRule};
pub use receive::Receive;
pub use rejoin::{Rejoin, Rejoined};
pub use rights::Bearer;
pub use room_type::{
    Compression, CompressionMode, Delivery, Devices, HistoryRule, Owner, Presence, QueueRule, RoomType,
    Sanitize, Slow,
};
pub use stats::{Stats, Wire};
pub use time::Now;
pub use view::{
    ConnectionRow, ConnectionState, HealthRow, HomeQuestion, Quality, Question, ReaderRow, RoomRow, Rows,
    UserRow,
};
