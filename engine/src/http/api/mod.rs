//! The HTTP API: one endpoint, or one kind of endpoint, a file.

pub(crate) mod access;
pub(crate) mod admin;
mod connections;
pub(crate) mod console;
pub(crate) mod describe;
pub(crate) mod health;
mod history;
mod inquire;
pub(crate) mod inspector;
pub(crate) mod json_body;
pub(crate) mod publish;
pub(crate) mod query;
mod receipts;
pub(crate) mod service;
mod wait;
mod webhooks;

pub(crate) use access::Pass;
