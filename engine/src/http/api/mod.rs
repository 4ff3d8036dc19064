//! The HTTP API: one endpoint, or one kind of endpoint, a file.

mod access;
pub(crate) mod console;
pub(crate) mod health;
mod history;
pub(crate) mod publish;
pub(crate) mod query;
mod receipts;
mod wait;
