//! The real binary, seen by clients that share no code with it. Each module is one part of the contract.

#[allow(dead_code, unused_imports, reason = "`tests/faults` shares it")]
mod support;

mod admin;
mod arguments;
mod audit;
mod audit_trust;
mod auth;
mod bad_frames;
mod broadcast;
mod chat;
mod compression;
mod conformance;
mod console;
mod describe;
mod descriptors;
mod drain;
mod durable;
mod filters;
mod handshake;
mod health;
mod heartbeat;
mod hooks;
mod http_api;
mod inspector;
mod limits;
mod monitors;
mod notifications;
mod operations;
mod owners;
mod panics;
mod polls;
mod presence;
mod privacy;
mod profiles;
mod rates;
mod receipts;
mod recovery;
mod resume;
mod rooms;
mod scores;
mod slow_reader;
mod targets;
mod webhooks;
