//! The connections of this shard: which rooms they are in, what they are owed, and what they have not read.

mod admit;
mod backlog;
mod connection;
mod connections;
mod deliver;
mod due;
mod ending;
mod flush;
mod group;
mod health;
mod inquiries;
mod members;
mod note;
mod outgoing;
mod overtake;
mod pace;
mod rejoin;
mod roles;
mod room;
mod say;
mod session;
mod shard;
mod shed;
mod step;
mod timers;
mod wheel;

pub(crate) use connection::{Connection, Held, State};
pub use flush::{Batch, Rest};
pub(crate) use inquiries::Pending;
pub(crate) use pace::Limited;
pub(crate) use say::{dialect_of, gap};
pub(crate) use shard::Local;
