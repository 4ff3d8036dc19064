//! The rooms that this shard orders. Everything here is done by one shard alone, which is what makes it an
//! order.

mod audience;
mod room;
mod rooms;

pub(crate) use rooms::HomeRooms;
