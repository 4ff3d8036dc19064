//! Another server than Fanfare, talked to by a table: one that speaks like the table says, with and without
//! faults. The server is a small one made of tungstenite, with Socket.IO's packets.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tungstenite::{Message, WebSocket};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    Nothing,
    /// The third message reaches nobody.
    Loses,
    /// The third message is sent twice.
    Repeats,
    /// Every namespace is refused.
    Refuses,
}

type Members = Arc<Mutex<Vec<(String, WebSocket<TcpStream>)>>>;

fn start(fault: Fault) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let members = Members::default();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let members = Arc::clone(&members);
            // Whatever ends a connection ends its thread.
            thread::spawn(move || serve(stream, fault, &members));
        }
    });
    addr
}

fn serve(stream: TcpStream, fault: Fault, members: &Members) -> Option<()> {
    let mut socket = tungstenite::accept(stream).ok()?;
    let say = |socket: &mut WebSocket<TcpStream>, text: &str| socket.send(Message::text(text)).ok();
    say(&mut socket, r#"0{"sid":"x44y","upgrades":[],"pingInterval":25000}"#)?;
    let mut published = 0;
    loop {
        let Message::Text(text) = socket.read().ok()? else { continue };
        if text == "40" {
            // A sign of life is asked for in between, and answered before anything else.
            say(&mut socket, "2")?;
            assert_eq!(socket.read().ok()?.into_text().ok()?, "3");
            say(
                &mut socket,
                if fault == Fault::Refuses { r#"44{"message":"no"}"# } else { r#"40{"sid":"y"}"# },
            )?;
            continue;
        }
        let packet: Vec<serde_json::Value> = serde_json::from_str(text.strip_prefix("42")?).ok()?;
        let room = packet.get(1)?.as_str()?.to_owned();
        if packet[0] == "subscribe" {
            // Nobody may publish between the answer and its place among the members.
            let mut members = members.lock().unwrap();
            say(&mut socket, &format!(r#"42["subscribed","{room}"]"#))?;
            members.push((room, socket));
            return Some(());
        }
        published += 1;
        let times = match (fault, published) {
            (Fault::Loses, 3) => 0,
            (Fault::Repeats, 3) => 2,
            _ => 1,
        };
        for (of, member) in members.lock().unwrap().iter_mut().filter(|(of, _)| *of == room) {
            for _ in 0..times {
                // A member that went away is no matter here.
                let _ = member.send(Message::text(format!(r#"42["message","{of}",{}]"#, packet[2])));
            }
        }
    }
}

fn run(fault: Fault, more: &[&str]) -> (Option<i32>, String) {
    let url = format!("ws://{}", start(fault));
    let output = Command::new(env!("CARGO_BIN_EXE_fanfare-loadgen"))
        .args(["fanout", "--raw", "socket.io", "--url", &url, "--members", "3", "--rate", "50"])
        .args(["--warmup", "10ms", "--duration", "300ms", "--drain", "500ms"])
        .args(more)
        .output()
        .unwrap();
    let told = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat();
    (output.status.code(), told)
}

#[test]
fn another_server_is_measured_and_checked_like_our_own() {
    for more in [&[][..], &["--rooms", "4", "--publishers", "2"]] {
        let (code, told) = run(Fault::Nothing, more);
        assert_eq!(code, Some(0), "{told}");
        assert!(told.contains("p99"), "{told}");
    }
}

#[test]
fn its_faults_are_told_by_kind() {
    for (fault, row) in [(Fault::Loses, "lost 3"), (Fault::Repeats, "duplicates 3")] {
        let (code, told) = run(fault, &[]);
        assert_eq!(code, Some(99), "{told}");
        let found = told.lines().any(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") == row);
        assert!(found, "{row}: {told}");
    }
    let (code, told) = run(Fault::Refuses, &[]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("error 44messageno: 4"), "{told}");
}

#[test]
fn a_table_of_ones_own_is_read_from_a_file() {
    let path = std::env::temp_dir().join(format!("fanfare-raw-{}.toml", std::process::id()));
    let output =
        Command::new(env!("CARGO_BIN_EXE_fanfare-loadgen")).args(["preset", "socket.io"]).output().unwrap();
    std::fs::write(&path, output.stdout).unwrap();
    let url = format!("ws://{}", start(Fault::Nothing));
    let output = Command::new(env!("CARGO_BIN_EXE_fanfare-loadgen"))
        .args(["connect", "--connections", "4", "--rooms", "2", "--url", &url, "--raw"])
        .arg(&path)
        .output()
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Greets who comes to a path of its own, and nobody twice.
fn start_with_own_paths() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let seen = Arc::clone(&seen);
            thread::spawn(move || greet(stream, &seen));
        }
    });
    addr
}

#[expect(clippy::result_large_err, reason = "tungstenite's callback returns a whole response as its error")]
fn greet(stream: TcpStream, seen: &Mutex<BTreeSet<String>>) -> Option<()> {
    let upgrade = |request: &Request, response: Response| {
        let path = request.uri().path().to_owned();
        if path.starts_with("/ws/load-") && !path.contains('{') && seen.lock().unwrap().insert(path) {
            return Ok(response);
        }
        let mut refusal = ErrorResponse::new(None);
        *refusal.status_mut() = tungstenite::http::StatusCode::NOT_FOUND;
        Err(refusal)
    };
    let mut socket = tungstenite::accept_hdr(stream, upgrade).ok()?;
    socket.send(Message::text(r#"{"type":"connected"}"#)).ok()?;
    // Until it goes.
    while socket.read().is_ok() {}
    None
}

#[test]
fn each_connection_has_its_own_path_and_a_run_file_finds_its_table() {
    let folder = std::env::temp_dir().join(format!("fanfare-own-paths-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("own.toml", "path = '/ws/{user}/{connection}'\ngreeting = '\"type\":\"connected\"'\n");
    write("same.toml", "path = '/ws/load-0'\ngreeting = 'connected'\n");
    write("bad.toml", "path = '/ws/{room}'\n");
    let loadgen = |arguments: &[&str]| {
        // Somewhere else than where the files are.
        let output = Command::new(env!("CARGO_BIN_EXE_fanfare-loadgen"))
            .current_dir("/")
            .args(arguments)
            .output()
            .unwrap();
        let told = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat();
        (output.status.code(), told)
    };
    let run = |raw: &str, threshold: &str| {
        let runs = format!(
            "raw = '{raw}'\nconnections = 6\nurl = 'ws://{}'\n[[run]]\nscenario = 'connect'\nthreshold = ['{threshold}']\n\
             [[run]]\nscenario = 'idle'\nduration = '50ms'\nrooms = 0\nurl = 'ws://{}'\n",
            start_with_own_paths(),
            start_with_own_paths(),
        );
        write("runs.toml", &runs);
        loadgen(&["run", folder.join("runs.toml").to_str().unwrap()])
    };
    let (code, told) = run("own.toml", "time_to_welcome.p99<10s");
    assert_eq!(code, Some(0), "{told}");
    let (code, told) = run("own.toml", "time_to_welcome.p50<1us");
    assert_eq!(code, Some(99), "{told}");
    assert!(told.contains("threshold broken: time_to_welcome.p50<1us: it is"), "{told}");
    let (code, told) = run("own.toml", "back.p99<3s");
    assert_eq!((code, told.contains("back.p99<3s: this run has no such result")), (Some(99), true), "{told}");
    let (code, told) = run("same.toml", "time_to_welcome.p99<10s");
    assert_eq!((code, told.contains("refused with HTTP status 404: 5")), (Some(1), true), "{told}");
    let own = folder.join("own.toml");
    for (raw, threshold, named) in [
        ("bad.toml", "lost==0", "{user}"),
        ("none.toml", "lost==0", "neither a ready table"),
        ("own.toml", "time_to_welcome.p99<3", "a time is like"),
        ("own.toml", "time_to_welcome.p98<3s", "is no result"),
    ] {
        let (code, told) = run(raw, threshold);
        assert_eq!((code, told.contains(named)), (Some(2), true), "{raw} {threshold}: {told}");
    }
    let (code, told) = loadgen(&["fanout", "--raw", own.to_str().unwrap(), "--url", "ws://127.0.0.1:9"]);
    assert_eq!((code, told.contains("no publish")), (Some(2), true), "{told}");
    std::fs::remove_dir_all(&folder).unwrap();
}
