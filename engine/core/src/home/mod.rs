//! The rooms that this shard orders. Everything here is done by one shard alone, which is what makes it an
//! order.

mod audience;
mod catch_up;
mod compressors;
mod context;
mod dead;
mod history;
mod keep;
mod ledger;
mod log;
mod publish;
mod questions;
mod receipts;
mod recent;
mod restore;
mod room;
mod rooms;
mod services;
mod sessions;
mod store;
mod subscribers;
mod waiting;

pub(crate) use context::Context;
#[cfg(test)]
pub(crate) use log::Kept;
pub(crate) use log::Log;
pub(crate) use publish::Draft;
pub(crate) use rooms::{HomeRooms, used_unix_ms};
