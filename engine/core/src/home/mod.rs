//! The rooms that this shard orders. Everything here is done by one shard alone, which is what makes it an
//! order.

mod audience;
mod catch_up;
mod history;
mod keep;
mod ledger;
mod log;
mod recent;
mod room;
mod rooms;

pub(crate) use rooms::HomeRooms;
