//! The kernel's floor: what sending costs when a server does nothing else.
//!
//! One thread, one epoll, one `send()` per receiver and message of a frame that was built once. No runtime,
//! no queue, no batching: the cost per delivery is that of the system call, which is what an engine has to
//! come close to with one message per send, and may beat by putting several into one.

use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;

use clap::Parser;
use fanfare_bench::baseline::{self, Fanout, Rooms, Sockets};

/// A bare epoll loop that sends each message once per member.
#[derive(Debug, Parser)]
struct Args {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
}

struct Floor;

impl Fanout for Floor {
    fn publish(
        &mut self,
        sockets: &mut Sockets,
        rooms: &mut Rooms,
        number: usize,
        frame: &[u8],
        gone: &mut Vec<RawFd>,
    ) {
        for &member in &rooms.room(number).members {
            if sockets.send(member, frame).is_err() {
                gone.push(member);
            }
        }
    }
}

fn main() -> io::Result<()> {
    baseline::serve(Args::parse().listen, Floor)
}
