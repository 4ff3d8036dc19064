//! The send ring driven by nothing but a loop: what the engine's own way of sending costs when a server does
//! nothing else.
//!
//! The floor with its `send()` per receiver replaced by the engine's send ring: the messages of one turn are put
//! together for each room, and when the turn ends each member gets all of them in one send, 512 sends in one system
//! call. What the engine takes beyond this is the price of being an engine.

use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;

use clap::Parser;
use fanfare_bench::baseline::{self, Fanout, Rooms, Sockets};
use fanfare_sys::{Flusher, SendError, Target, Unsent};

/// Sends in one system call; the engine looks up from its sending as often.
const BATCH: u32 = 512;

/// A bare epoll loop that sends through the engine's send ring.
#[derive(Debug, Parser)]
struct Args {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:8083")]
    listen: SocketAddr,
}

struct Ring {
    flusher: Flusher,
    /// Answers to the connection whose turn it is.
    answers: Vec<u8>,
    /// Rooms with frames that wait.
    touched: Vec<usize>,
    unsent: Vec<Unsent>,
    /// Members that an earlier send was too much for.
    behind: Vec<RawFd>,
}

impl Fanout for Ring {
    fn publish(
        &mut self,
        _sockets: &mut Sockets,
        rooms: &mut Rooms,
        number: usize,
        frame: &[u8],
        _gone: &mut Vec<RawFd>,
    ) {
        let room = rooms.room(number);
        if room.waiting.is_empty() {
            self.touched.push(number);
        }
        room.waiting.extend_from_slice(frame);
    }

    fn answer(&mut self, _sockets: &mut Sockets, _fd: RawFd, frame: &[u8]) -> io::Result<()> {
        self.answers.extend_from_slice(frame);
        Ok(())
    }

    fn end_turn(
        &mut self,
        sockets: &mut Sockets,
        rooms: &mut Rooms,
        fd: RawFd,
        gone: &mut Vec<RawFd>,
    ) -> io::Result<()> {
        // The rooms' turn comes also when the one who published is dead by now.
        let answered = if self.answers.is_empty() { Ok(()) } else { sockets.send(fd, &self.answers) };
        self.answers.clear();
        let mut touched = std::mem::take(&mut self.touched);
        for number in touched.drain(..) {
            let room = rooms.room(number);
            self.send(sockets, &room.members, &room.waiting, gone);
            room.waiting.clear();
        }
        self.touched = touched;
        answered
    }
}

impl Ring {
    /// The same bytes to all members. The ring is done with them when its call returns, so they may be reused.
    fn send(&mut self, sockets: &mut Sockets, members: &[RawFd], bytes: &[u8], gone: &mut Vec<RawFd>) {
        let Self { flusher, unsent, behind, .. } = self;
        let targets = members.iter().filter(|member| {
            let is_behind = sockets.is_behind(**member);
            if is_behind {
                behind.push(**member);
            }
            !is_behind
        });
        let targets = targets.map(|&fd| Target { fd, token: fd.cast_unsigned() });
        flusher.send(bytes, targets, unsent);
        for member in behind.drain(..) {
            if sockets.keep(member, bytes).is_err() {
                gone.push(member);
            }
        }
        for Unsent { token, error } in unsent.drain(..) {
            let member = token.cast_signed();
            let kept = match error {
                SendError::Blocked { taken } => sockets.keep(member, &bytes[taken..]).is_ok(),
                SendError::Gone { .. } => false,
            };
            if !kept {
                gone.push(member);
            }
        }
    }
}

fn main() -> io::Result<()> {
    let args = Args::parse();
    let ring = Ring {
        flusher: Flusher::ring(BATCH)?,
        answers: Vec::new(),
        touched: Vec::new(),
        unsent: Vec::new(),
        behind: Vec::new(),
    };
    baseline::serve(args.listen, ring)
}
