//! Capacity tests for Fanfare and other WebSocket broadcast servers.
//!
//! One thread, one epoll loop: [`fleet`] owns the sockets, [`client`] is one connection's protocol ([`raw`]: that
//! of another server), a [`scenario`] decides what is sent and counts what comes, [`report`] prints it. Whatever the server does is
//! counted; nothing it sends can make this program panic or wait for ever.

mod batch;
mod cli;
mod client;
mod clock;
mod command;
mod duration;
mod failure;
mod fleet;
mod html;
mod http;
mod interrupt;
mod memo;
mod payload;
mod plan;
mod process;
mod progress;
mod raw;
mod report;
mod scan;
mod scenario;
mod server_side;
mod socket;
mod stamp;
mod sys;
mod threshold;
mod timeline;
mod token;
mod upgrade;
mod verdict;
mod verify;
mod window;

use std::process::ExitCode;

use clap::Parser;

use crate::scenario::RunError;

fn main() -> ExitCode {
    // clap exits with 2 by itself on wrong usage.
    match scenario::run(cli::Cli::parse()) {
        Ok(verdict) => ExitCode::from(verdict.exit_code()),
        Err(RunError::Usage(message)) => {
            eprintln!("fanfare-loadgen: {message}");
            ExitCode::from(2)
        }
        Err(RunError::Failed(message)) => {
            eprintln!("fanfare-loadgen: {message}");
            ExitCode::from(1)
        }
    }
}
