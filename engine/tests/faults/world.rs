//! What several of these tests ask the world.

use std::io::Write;
use std::net::TcpStream;
use std::sync::{LazyLock, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::json;
use socket2::{Domain, Socket, Type};

use crate::support::{Raw, Server, eventually, request, token};

/// Held by tests that put load on the machine: two of them would measure each other.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static LOAD: Mutex<()> = Mutex::new(());
    // The failure of one says nothing about the next.
    LOAD.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Says that a test was not done, also where the output of tests that pass is not shown.
pub(crate) fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

/// Microseconds since this process first asked.
pub(crate) fn now_us() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_micros() as u64
}

/// Calls `each` at a fixed pace, `count` times, with its number and the moment at which it was due.
pub(crate) fn paced(count: u64, every: Duration, each: impl FnMut(u64, u64)) {
    paced_while(|number| number < count, every, each);
}

/// The same for as long as `go_on` says so.
pub(crate) fn paced_while(go_on: impl Fn(u64) -> bool, every: Duration, mut each: impl FnMut(u64, u64)) {
    let (begun, begun_us) = (Instant::now(), now_us());
    for number in (0..).take_while(|number| go_on(*number)) {
        let due = every * number as u32;
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
        each(number, begun_us + due.as_micros() as u64);
    }
}

/// How many connections the server has closed with this code.
pub(crate) fn closes(server: &Server, code: u16) -> u64 {
    let page = request(server, "GET", "/metrics", &[], "").body;
    let name = format!("fanfare_closes_total{{code=\"{code}\"}} ");
    page.lines().find_map(|line| line.strip_prefix(&name)).map_or(0, |count| count.parse().unwrap())
}

/// Waits until the server says that it has so many WebSockets.
pub(crate) fn connections(server: &Server, count: usize) {
    eventually(&format!("{count} connections"), || {
        (server.metric("fanfare_connections") == count as f64).then_some(())
    });
}

/// How many members the server says a room has.
pub(crate) fn members(server: &Server, token: &str, room: &str) -> u64 {
    let bearer = format!("Bearer {token}");
    let rooms = request(server, "GET", "/v1/rooms?limit=10000", &[("authorization", &bearer)], "").json();
    let rooms = rooms["rooms"].as_array().unwrap().iter();
    let mut found = rooms.filter(|row| row["room"] == room);
    found.next().map_or(0, |row| row["members"].as_u64().unwrap())
}

/// The same with a token of development mode.
pub(crate) fn members_of(server: &Server, room: &str) -> u64 {
    members(server, &token("root", "admin", json!({})), room)
}

/// Connects with a receive buffer as small as the kernel allows, and joins a room: whoever holds it and does not read
/// stalls soon.
pub(crate) fn narrow(server: &Server, room: &str) -> Raw {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    // Before the connection is made, so that the window that is offered is as small.
    socket.set_recv_buffer_size(1).unwrap();
    let address: std::net::SocketAddr = server.address.parse().unwrap();
    socket.connect(&address.into()).unwrap();
    let mut raw = Raw::over(TcpStream::from(socket)).upgraded(&token("narrow", "user", json!({})), "");
    raw.send_frame(0x81, join(room).as_bytes());
    let (_, joined) = raw.frame().unwrap();
    assert!(String::from_utf8(joined).unwrap().starts_with("{\"type\":\"joined\""));
    raw
}

/// The command that joins a room.
pub(crate) fn join(room: &str) -> String {
    json!({"type": "join", "id": 1, "room": room}).to_string()
}
