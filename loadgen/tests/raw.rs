//! Another server than Fanfare, talked to by a table: one that speaks like the table says, with and without
//! faults. The server is a small one made of tungstenite, with Socket.IO's packets.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

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
