//! A whole deployment in one thread: shards, the queues between them, sockets that take as much as they like, people
//! who come and go. Everything happens in an order drawn from a seed, so a failure can be played again, exactly.
//!
//! [`World`] is the deployment, [`Person`] one client as an application writes it, [`Play`] what they do; [`shrink()`]
//! finds the shortest play that still fails.

mod acks;
mod company;
mod deeds;
mod disk;
mod end;
mod frames;
mod hear;
mod inbox;
mod lasting;
mod ledger;
mod options;
mod person;
mod play;
mod random;
mod reader;
mod rest;
pub mod service;
mod session;
mod shrink;
mod sockets;
mod stream;
mod survey;
mod tried;
mod world;

pub use acks::Acks;
pub use deeds::{Deed, Weights};
pub use disk::Disk;
pub use ledger::Ledger;
pub use person::{Person, Who};
pub use play::{Play, Script, play};
pub use random::Random;
pub use shrink::shrink;
pub use tried::Tried;
pub use world::{Client, World};
