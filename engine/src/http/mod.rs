//! HTTP/1.1 (RFC 9112) on the same port: the API, the live page, and the way to a WebSocket.

mod api;
mod body;
mod check;
mod connection;
mod crowd;
mod head;
pub(crate) mod profile;
mod refuse;
mod respond;
mod route;
mod upgrade;

pub(crate) use api::Pass;
pub(crate) use connection::serve;
pub(crate) use crowd::{Crowd, Entered, Seat};
pub(crate) use head::Head;
pub(crate) use respond::Response;
