//! The kernel's floor: what sending costs when a server does nothing else.
//!
//! One thread, one epoll, one `send()` per receiver and message of a frame that was built once. No runtime,
//! no queue, no batching: the cost per delivery is that of the system call, which is what an engine has to
//! come close to with one message per send, and may beat by putting several into one.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use clap::Parser;
use fanfare_bench::wire::{self, Command};
use tungstenite::handshake::derive_accept_key;

/// Bytes a client may have half-sent before it is dropped.
const INPUT_BYTES_MAX: usize = 256 * 1024;
/// Bytes kept for a client that does not read before it is dropped.
const BACKLOG_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A bare epoll loop that sends each message once per member.
#[derive(Debug, Parser)]
struct Args {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
}

struct Connection {
    stream: TcpStream,
    upgraded: bool,
    /// Read, but not yet a whole frame.
    input: Vec<u8>,
    /// What the socket did not take.
    backlog: Vec<u8>,
}

#[derive(Default)]
struct Room {
    offset: u64,
    members: Vec<RawFd>,
}

struct Server {
    epoll: OwnedFd,
    /// By descriptor, so that a send looks up nothing.
    connections: Vec<Option<Connection>>,
    rooms: HashMap<String, Room>,
}

fn main() -> io::Result<()> {
    let args = Args::parse();
    fanfare_bench::raise_open_files();
    let listener = listen(args.listen)?;
    let mut server = Server { epoll: epoll()?, connections: Vec::new(), rooms: HashMap::new() };
    server.watch(listener.as_raw_fd(), libc::EPOLL_CTL_ADD, libc::EPOLLIN)?;
    let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; 1_024];
    let mut buffer = vec![0; 64 * 1024];
    loop {
        // SAFETY: the buffer holds as many events as the call is told.
        let count = unsafe { libc::epoll_wait(server.epoll.as_raw_fd(), events.as_mut_ptr(), 1_024, -1) };
        for event in &events[..usize::try_from(count).unwrap_or(0)] {
            let (fd, ready) = (event.u64 as RawFd, event.events.cast_signed());
            if fd == listener.as_raw_fd() {
                server.accept(&listener);
            } else if server.step(fd, ready, &mut buffer).is_err() {
                server.drop(fd);
            }
        }
    }
}

impl Server {
    fn watch(&self, fd: RawFd, operation: i32, interest: i32) -> io::Result<()> {
        let mut event =
            libc::epoll_event { events: interest.cast_unsigned(), u64: u64::from(fd.cast_unsigned()) };
        // SAFETY: both descriptors are open and the event outlives the call.
        let result = unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, fd, &raw mut event) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    fn get(&mut self, fd: RawFd) -> Option<&mut Connection> {
        self.connections.get_mut(index(fd))?.as_mut()
    }

    fn accept(&mut self, listener: &TcpListener) {
        while let Ok((stream, _)) = listener.accept() {
            let fd = stream.as_raw_fd();
            let ready = stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true));
            if ready.and_then(|()| self.watch(fd, libc::EPOLL_CTL_ADD, libc::EPOLLIN)).is_ok() {
                let connection =
                    Connection { stream, upgraded: false, input: Vec::new(), backlog: Vec::new() };
                let place = index(fd);
                if place >= self.connections.len() {
                    self.connections.resize_with(place + 1, || None);
                }
                self.connections[place] = Some(connection);
            }
        }
    }

    fn drop(&mut self, fd: RawFd) {
        if let Some(place) = self.connections.get_mut(index(fd)) {
            *place = None;
        }
        for room in self.rooms.values_mut() {
            room.members.retain(|member| *member != fd);
        }
    }

    fn step(&mut self, fd: RawFd, ready: i32, buffer: &mut [u8]) -> io::Result<()> {
        let Some(connection) = self.get(fd) else { return Ok(()) };
        if ready & libc::EPOLLOUT != 0 {
            let backlog = std::mem::take(&mut connection.backlog);
            self.send(fd, &backlog)?;
            if self.get(fd).is_some_and(|connection| connection.backlog.is_empty()) {
                self.watch(fd, libc::EPOLL_CTL_MOD, libc::EPOLLIN)?;
            }
        }
        let Some(connection) = self.get(fd) else { return Ok(()) };
        let len = match connection.stream.read(buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(len) => len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut input = std::mem::take(&mut connection.input);
        input.extend_from_slice(&buffer[..len]);
        let mut used = 0;
        if !connection.upgraded {
            let Some((answer, head)) = upgrade(&input)? else {
                return self.keep(fd, input, 0);
            };
            connection.upgraded = true;
            used = head;
            self.send(fd, &answer)?;
            self.send(fd, &frame(1, wire::welcome().as_bytes()))?;
        }
        while let Some((opcode, payload)) = next_frame(&mut input[used..])? {
            let (start, end) = (used + payload.start, used + payload.end);
            used = end;
            match opcode {
                1 => self.command(fd, &input[start..end])?,
                8 => return Err(ErrorKind::ConnectionAborted.into()),
                9 => self.send(fd, &frame(10, &input[start..end]))?,
                _ => {}
            }
        }
        self.keep(fd, input, used)
    }

    fn keep(&mut self, fd: RawFd, mut input: Vec<u8>, used: usize) -> io::Result<()> {
        input.drain(..used);
        if input.len() > INPUT_BYTES_MAX {
            return Err(ErrorKind::InvalidData.into());
        }
        if let Some(connection) = self.get(fd) {
            connection.input = if input.is_empty() { Vec::new() } else { input };
        }
        Ok(())
    }

    fn command(&mut self, fd: RawFd, text: &[u8]) -> io::Result<()> {
        let command = Command::read(text).map_err(io::Error::other)?;
        let answer = match command.kind {
            "join" => {
                let room = self.rooms.entry(command.room.to_owned()).or_default();
                room.members.push(fd);
                wire::joined(&command, room.offset)
            }
            "publish" => {
                let room = self.rooms.entry(command.room.to_owned()).or_default();
                room.offset += 1;
                let offset = room.offset;
                let message = frame(1, wire::message(&command, offset).as_bytes());
                // Out of the map for the loop, so that the loop is nothing but sends.
                let members = std::mem::take(&mut room.members);
                let broken: Vec<RawFd> =
                    members.iter().copied().filter(|&member| self.send(member, &message).is_err()).collect();
                self.rooms.entry(command.room.to_owned()).or_default().members = members;
                for member in broken {
                    self.drop(member);
                }
                wire::published(&command, offset)
            }
            _ => wire::refused(&command),
        };
        self.send(fd, &frame(1, answer.as_bytes()))
    }

    /// One `send()`; what it does not take is kept and watched for.
    fn send(&mut self, fd: RawFd, bytes: &[u8]) -> io::Result<()> {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        let blocked = self.get(fd).is_some_and(|connection| !connection.backlog.is_empty());
        let mut sent = 0;
        if !blocked {
            // SAFETY: the pointer and length are those of the slice; the kernel copies before it returns.
            let result = unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), flags) };
            match usize::try_from(result) {
                Ok(len) => sent = len,
                Err(_) => {
                    let error = io::Error::last_os_error();
                    if error.kind() != ErrorKind::WouldBlock {
                        return Err(error);
                    }
                }
            }
        }
        if sent == bytes.len() {
            return Ok(());
        }
        let Some(connection) = self.get(fd) else { return Ok(()) };
        connection.backlog.extend_from_slice(&bytes[sent..]);
        if connection.backlog.len() > BACKLOG_BYTES_MAX {
            return Err(ErrorKind::OutOfMemory.into());
        }
        if blocked { Ok(()) } else { self.watch(fd, libc::EPOLL_CTL_MOD, libc::EPOLLIN | libc::EPOLLOUT) }
    }
}

/// A descriptor as an index; descriptors are never negative.
fn index(fd: RawFd) -> usize {
    usize::try_from(fd).unwrap_or(usize::MAX - 1)
}

/// The answer to a whole upgrade request and the request's length.
fn upgrade(input: &[u8]) -> io::Result<Option<(Vec<u8>, usize)>> {
    let Some(end) = input.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = String::from_utf8_lossy(&input[..end]);
    let header = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    let key = header("sec-websocket-key").ok_or(ErrorKind::InvalidData)?;
    let protocol = header("sec-websocket-protocol").and_then(|offered| offered.split(',').next());
    let mut answer = Vec::new();
    write!(
        answer,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n",
        derive_accept_key(key.as_bytes())
    )?;
    if let Some(protocol) = protocol {
        write!(answer, "Sec-WebSocket-Protocol: {}\r\n", protocol.trim())?;
    }
    answer.extend_from_slice(b"\r\n");
    Ok(Some((answer, end + 4)))
}

/// The first whole frame of `input`, unmasked in place: its opcode and where its payload is.
fn next_frame(input: &mut [u8]) -> io::Result<Option<(u8, std::ops::Range<usize>)>> {
    let &mut [first, second, ref rest @ ..] = input else { return Ok(None) };
    let (start, len) = match second & 0x7f {
        126 => match rest.first_chunk() {
            Some(len) => (4, usize::from(u16::from_be_bytes(*len))),
            None => return Ok(None),
        },
        127 => return Err(ErrorKind::InvalidData.into()),
        len => (2, usize::from(len)),
    };
    // Only whole, masked, uncompressed messages: all that a load generator sends.
    if first & 0xf0 != 0x80 || second & 0x80 == 0 {
        return Err(ErrorKind::InvalidData.into());
    }
    let (start, end) = (start + 4, start + 4 + len);
    if input.len() < end {
        return Ok(None);
    }
    let (head, payload) = input[..end].split_at_mut(start);
    let key = &head[start - 4..];
    for (byte, key) in payload.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
    Ok(Some((first & 0x0f, start..end)))
}

/// A whole unmasked frame.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(len @ ..=125), _) => frame.push(len),
        (_, Ok(len)) => {
            frame.push(126);
            frame.extend_from_slice(&len.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(addr), socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(4_096)?;
    Ok(socket.into())
}

fn epoll() -> io::Result<OwnedFd> {
    // SAFETY: no pointers; the result is checked before it is used.
    let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just gave us this descriptor and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
