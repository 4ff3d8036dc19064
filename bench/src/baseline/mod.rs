//! What the bare servers have in common: one thread, one epoll loop, and how they understand three commands. They
//! differ in one thing, how a message gets to the members of its room: [`Fanout`].
//!
//! No runtime, no queue, no limits and no token: what is left of a server is its sends.

mod frame;
mod rooms;
mod sockets;
mod upgrade;

use std::io::{self, ErrorKind, Read};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};

use crate::wire::{self, Command};

use frame::{frame, next_frame};
pub use rooms::{Room, Rooms};
pub use sockets::Sockets;
use upgrade::upgrade;

/// Bytes a client may have half-sent before it is dropped.
const INPUT_BYTES_MAX: usize = 256 * 1024;
/// One read.
const READ_BYTES: usize = 64 * 1024;

/// How frames leave. A turn is one read of one socket, with all the commands in it.
pub trait Fanout {
    /// A message for every member of the room of this number. Members that are dead go to `gone`.
    fn publish(
        &mut self,
        sockets: &mut Sockets,
        rooms: &mut Rooms,
        number: usize,
        frame: &[u8],
        gone: &mut Vec<RawFd>,
    );

    /// The answer to a command.
    ///
    /// # Errors
    /// The connection is dead.
    fn answer(&mut self, sockets: &mut Sockets, fd: RawFd, frame: &[u8]) -> io::Result<()> {
        sockets.send(fd, frame)
    }

    /// The turn of `fd` ends: what was put off is sent now. Members that are dead go to `gone`.
    ///
    /// # Errors
    /// The connection whose turn it is is dead.
    fn end_turn(
        &mut self,
        _sockets: &mut Sockets,
        _rooms: &mut Rooms,
        _fd: RawFd,
        _gone: &mut Vec<RawFd>,
    ) -> io::Result<()> {
        Ok(())
    }
}

/// Tells on standard output where a server listens: with port 0 only it knows.
pub fn announce(addr: SocketAddr) {
    println!("listening on {addr}");
}

/// Serves until the process ends.
///
/// # Errors
/// The address cannot be listened on.
pub fn serve(addr: SocketAddr, fanout: impl Fanout) -> io::Result<()> {
    crate::raise_open_files();
    let listener = sockets::listen(addr)?;
    announce(listener.local_addr()?);
    let mut server =
        Server { sockets: Sockets::new(&listener)?, rooms: Rooms::default(), gone: Vec::new(), fanout };
    let (mut events, mut buffer) = (Vec::new(), vec![0; READ_BYTES]);
    loop {
        let count = server.sockets.wait(&mut events);
        for event in &events[..count] {
            let (fd, ready) = (event.u64 as RawFd, event.events.cast_signed());
            if fd == listener.as_raw_fd() {
                server.sockets.accept(&listener);
            } else if server.turn(fd, ready, &mut buffer).is_err() {
                server.drop(fd);
            }
        }
    }
}

struct Server<F> {
    sockets: Sockets,
    rooms: Rooms,
    /// Members that were found dead.
    gone: Vec<RawFd>,
    fanout: F,
}

impl<F: Fanout> Server<F> {
    fn drop(&mut self, fd: RawFd) {
        self.sockets.close(fd);
        self.rooms.leave_all(fd);
    }

    fn turn(&mut self, fd: RawFd, ready: i32, buffer: &mut [u8]) -> io::Result<()> {
        if ready & libc::EPOLLOUT != 0 {
            self.sockets.resume(fd)?;
        }
        let Some(connection) = self.sockets.get(fd) else { return Ok(()) };
        let len = match connection.stream.read(buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(len) => len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut input = std::mem::take(&mut connection.input);
        input.extend_from_slice(&buffer[..len]);
        let upgraded = connection.upgraded;
        let understood = self.understand(fd, upgraded, &mut input);
        // Also when this connection failed: what it published before that is everybody's.
        let ended = self.settle(fd);
        input.drain(..understood?);
        ended?;
        if input.len() > INPUT_BYTES_MAX {
            return Err(ErrorKind::InvalidData.into());
        }
        if let Some(connection) = self.sockets.get(fd) {
            connection.input = if input.is_empty() { Vec::new() } else { input };
        }
        Ok(())
    }

    /// Does all that was read; how much of it that was.
    fn understand(&mut self, fd: RawFd, upgraded: bool, input: &mut [u8]) -> io::Result<usize> {
        let mut used = 0;
        if !upgraded {
            let Some((answer, head)) = upgrade(input)? else { return Ok(0) };
            used = head;
            if let Some(connection) = self.sockets.get(fd) {
                connection.upgraded = true;
            }
            self.sockets.send(fd, &answer)?;
            self.sockets.send(fd, &frame(1, wire::welcome().as_bytes()))?;
        }
        while let Some((opcode, payload)) = next_frame(&mut input[used..])? {
            let (start, end) = (used + payload.start, used + payload.end);
            used = end;
            match opcode {
                1 => self.command(fd, &input[start..end])?,
                8 => return Err(ErrorKind::ConnectionAborted.into()),
                9 => self.fanout.answer(&mut self.sockets, fd, &frame(10, &input[start..end]))?,
                _ => {}
            }
        }
        Ok(used)
    }

    fn command(&mut self, fd: RawFd, text: &[u8]) -> io::Result<()> {
        let command = Command::read(text).map_err(io::Error::other)?;
        let answer = match command.kind {
            "join" => {
                // What waits is older than the offset that the new member is told: it must not get it.
                self.settle(fd)?;
                let number = self.rooms.number(command.room);
                let room = self.rooms.room(number);
                // A member twice would be two sends in one batch, of which the second may overtake the first's rest.
                if !room.members.contains(&fd) {
                    room.members.push(fd);
                }
                wire::joined(&command, room.offset)
            }
            "publish" => {
                let number = self.rooms.number(command.room);
                let room = self.rooms.room(number);
                room.offset += 1;
                let offset = room.offset;
                let message = frame(1, wire::message(&command, offset).as_bytes());
                self.fanout.publish(&mut self.sockets, &mut self.rooms, number, &message, &mut self.gone);
                self.bury();
                wire::published(&command, offset)
            }
            _ => wire::refused(&command),
        };
        self.fanout.answer(&mut self.sockets, fd, &frame(1, answer.as_bytes()))
    }

    /// Sends what was put off.
    fn settle(&mut self, fd: RawFd) -> io::Result<()> {
        let ended = self.fanout.end_turn(&mut self.sockets, &mut self.rooms, fd, &mut self.gone);
        self.bury();
        ended
    }

    fn bury(&mut self) {
        while let Some(fd) = self.gone.pop() {
            self.drop(fd);
        }
    }
}
