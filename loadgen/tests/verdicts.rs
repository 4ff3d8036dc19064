//! The load generator against servers that misbehave: what it counts and how it exits.
//!
//! The servers are tungstenite's blocking ones, a thread per connection, on a port of their own.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tungstenite::{Message, WebSocket};

/// What a server does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Nothing,
    /// The fifth message reaches nobody, though its publish is answered.
    Loses,
    /// The fifth message is sent twice.
    Repeats,
    /// The fifth message is sent after the sixth.
    Reorders,
    /// Every publish is refused.
    RefusesPublishes,
    /// Members are disconnected at the fifth message.
    Disconnects,
    /// The upgrade is answered with status 401.
    RefusesTokens,
    /// The upgrade is accepted and nothing follows.
    NeverWelcomes,
    /// Garbage instead of frames after the welcome.
    SendsGarbage,
}

type Members = Arc<Mutex<Vec<WebSocket<TcpStream>>>>;

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

fn text(value: &Value) -> Message {
    Message::text(value.to_string())
}

#[expect(clippy::result_large_err, reason = "tungstenite's callback returns a whole response as its error")]
fn serve(stream: TcpStream, fault: Fault, members: &Members) -> Option<()> {
    let stream_again = stream.try_clone().ok()?;
    let upgrade = |_: &Request, mut response: Response| {
        if fault == Fault::RefusesTokens {
            let mut refusal = ErrorResponse::new(None);
            *refusal.status_mut() = tungstenite::http::StatusCode::UNAUTHORIZED;
            return Err(refusal);
        }
        let protocol = tungstenite::http::HeaderValue::from_static("fanfare.v1.json");
        response.headers_mut().insert("sec-websocket-protocol", protocol);
        Ok(response)
    };
    let mut socket = tungstenite::accept_hdr(stream, upgrade).ok()?;
    if fault == Fault::NeverWelcomes {
        return socket.read().map(drop).ok();
    }
    socket.send(text(&json!({"type": "welcome"}))).ok()?;
    if fault == Fault::SendsGarbage {
        use std::io::Write;
        (&stream_again).write_all(&[0xff; 64]).ok()?;
    }
    let mut offset = 0;
    let mut held = None;
    loop {
        let Message::Text(command) = socket.read().ok()? else { continue };
        let command: Value = serde_json::from_str(&command).ok()?;
        let id = &command["id"];
        if command["type"] == "join" {
            let answer =
                json!({"type": "joined", "id": id, "room": command["room"], "epoch": "e", "offset": 0});
            // Under the lock, so that no message goes out between the answer and the membership.
            let mut members = members.lock().unwrap();
            socket.send(text(&answer)).ok()?;
            members.push(socket);
            return Some(());
        }
        if fault == Fault::RefusesPublishes {
            let refusal = json!({"type": "error", "id": id, "code": 4004, "name": "RATE_LIMIT_EXCEEDED"});
            socket.send(text(&refusal)).ok()?;
            continue;
        }
        offset += 1;
        let message = format!(
            r#"{{"type":"load","room":{},"offset":{offset},"epoch":"e","data":{}}}"#,
            command["room"], command["data"]
        );
        let batch = match (fault, offset) {
            (Fault::Loses, 5) => vec![],
            (Fault::Repeats, 5) => vec![message.clone(), message],
            (Fault::Reorders, 5) => {
                held = Some(message);
                vec![]
            }
            _ => [Some(message), held.take()].into_iter().flatten().collect(),
        };
        if (fault, offset) == (Fault::Disconnects, 5) {
            members.lock().unwrap().clear();
        }
        for member in members.lock().unwrap().iter_mut() {
            for message in &batch {
                // A member that went away is the other tests' business.
                let _ = member.send(Message::text(message.clone()));
            }
        }
        let answer =
            json!({"type": "published", "id": id, "room": command["room"], "epoch": "e", "offset": offset});
        socket.send(text(&answer)).ok()?;
    }
}

fn loadgen(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fanfare-loadgen")).args(arguments).output().unwrap()
}

fn fanout(fault: Fault) -> (Option<i32>, String) {
    let url = format!("ws://{}/v1/ws", start(fault));
    let output = loadgen(&[
        "fanout",
        "--dev",
        "--url",
        &url,
        "--members",
        "3",
        "--rate",
        "100",
        "--warmup",
        "10ms",
        "--duration",
        "300ms",
        "--drain",
        "500ms",
        "--timeout",
        "1s",
    ]);
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_good_server_passes() {
    let (code, table) = fanout(Fault::Nothing);
    assert_eq!(code, Some(0), "{table}");
}

#[test]
fn thresholds_decide_and_every_form_of_the_report_is_written() {
    let folder = std::env::temp_dir().join(format!("fanfare-loadgen-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (json, html, csv, hdr) = (file("r.json"), file("r.html"), file("r.csv"), file("r.hgrm"));
    let url = format!("ws://{}/v1/ws", start(Fault::Nothing));
    let run = |more: &[&str]| {
        let load = [
            "fanout",
            "--url",
            &url,
            "--members",
            "3",
            "--rate",
            "50",
            "--warmup",
            "100ms",
            "--duration",
            "1s",
        ];
        let output = loadgen(&[&load[..], more].concat());
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, text) =
        run(&["--threshold", "lost==0", "--json", &json, "--html", &html, "--csv", &csv, "--hdr", &hdr]);
    assert_eq!(code, Some(0), "{text}");
    let read = |path: &str| std::fs::read_to_string(path).unwrap();
    assert!(read(&html).contains("<svg") && read(&csv).lines().count() >= 2);
    assert!(read(&hdr).contains("#[Max") && read(&json).contains("\"p99\""));
    let (code, text) = run(&["--threshold", "lost==0", "--threshold", "p50<1us", "--compare", &json]);
    assert_eq!(code, Some(99), "{text}");
    assert!(
        text.contains("latency_us.p99") && text.lines().next_back().unwrap().contains("p50<1us"),
        "{text}"
    );
    assert_eq!(run(&["--threshold", "p99"]).0, Some(2));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn broken_delivery_is_told_by_kind() {
    for (fault, line) in [
        (Fault::Loses, "lost                  3"),
        (Fault::Repeats, "duplicates            3"),
        (Fault::Reorders, "out of order          3"),
    ] {
        let (code, table) = fanout(fault);
        assert_eq!(code, Some(99), "{fault:?}: {table}");
        let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(table.lines().any(|row| squeezed(row) == squeezed(line)), "{fault:?}: {table}");
    }
}

#[test]
fn refusals_and_lost_connections_fail_the_run_and_are_counted() {
    for (fault, line) in [
        (Fault::RefusesPublishes, "publish refused: RATE_LIMIT_EXCEEDED"),
        (Fault::Disconnects, "all members were lost"),
        (Fault::RefusesTokens, "refused with HTTP status 401: 4"),
        (Fault::NeverWelcomes, "timeout waiting for `welcome`: 4"),
        (Fault::SendsGarbage, "server broke the WebSocket protocol"),
    ] {
        let (code, table) = fanout(fault);
        assert_eq!(code, Some(1), "{fault:?}: {table}");
        assert!(table.contains(line), "{fault:?}: {table}");
    }
}

#[test]
fn a_closed_loop_that_stalls_ends_by_itself() {
    let url = format!("ws://{}/v1/ws", start(Fault::Loses));
    let output = loadgen(&[
        "fanout",
        "--url",
        &url,
        "--members",
        "2",
        "--in-flight",
        "1",
        "--warmup",
        "10ms",
        "--duration",
        "1h",
        "--drain",
        "200ms",
    ]);
    let table = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(99), "{table}");
    assert!(table.contains("stalled"), "{table}");
}

#[test]
fn nobody_there_is_counted_as_refused_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/v1/ws", listener.local_addr().unwrap());
    drop(listener);
    for scenario in ["connect", "idle"] {
        let output = loadgen(&[scenario, "--url", &url, "--connections", "20", "--timeout", "1s"]);
        let table = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{table}");
        assert!(table.contains("connection refused: 20"), "{table}");
    }
}

#[test]
fn connect_and_idle_report_a_good_server() {
    let url = format!("ws://{}/v1/ws", start(Fault::Nothing));
    let json = std::env::temp_dir().join(format!("fanfare-loadgen-test-{}.json", std::process::id()));
    let path = json.to_str().unwrap();
    let pid = std::process::id().to_string();
    let output = loadgen(&["connect", "--url", &url, "--connections", "20", "--rooms", "2", "--json", path]);
    assert_eq!(output.status.code(), Some(0));
    let report: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(report["results"]["connected"], 20);
    assert!(report["results"]["time_to_welcome_us"]["p99"].as_f64().unwrap() > 0.0);
    let output = loadgen(&[
        "idle",
        "--url",
        &url,
        "--connections",
        "20",
        "--duration",
        "50ms",
        "--pid",
        &pid,
        "--json",
        path,
    ]);
    assert_eq!(output.status.code(), Some(0));
    let report: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(report["results"]["still_connected"], 20);
    assert!(report["results"]["server_rss_after_bytes"].as_f64().unwrap() > 0.0);
    std::fs::remove_file(json).unwrap();
}

#[test]
fn wrong_usage_is_told_with_exit_code_2() {
    for arguments in [
        &["fanout", "--rate", "0"][..],
        &["fanout", "--rate", "1", "--in-flight", "1"],
        &["fanout", "--raw", "no-such-table"],
        &["fanout", "--raw", "ws", "--encoding", "msgpack"],
        &["fanout", "--raw", "ws", "--publishers", "2"],
        &["storm", "--raw", "ws"],
        &["slow", "--slow", "0"],
        &["mixed", "--members", "600"],
        &["publish", "--metrics", "ws://127.0.0.1/"],
        &["preset", "nobody"],
        &["run", "/no/such/file.toml"],
        &["fanout", "--rate", "nan"],
        &["fanout", "--rate", "1", "--size", "10"],
        &["fanout", "--rate", "1", "--members", "10", "--connections", "5"],
        &["fanout", "--rate", "1", "--url", "http://127.0.0.1/"],
        &["fanout", "--rate", "1", "--room-prefix", "a b"],
        &["fanout", "--rate", "1", "--pid", "4294967295"],
        &["fanout", "--rate", "1", "--cpu", "99999"],
        &["connect", "--connections", "10", "--rooms", "3"],
        &["nothing"],
    ] {
        let output = loadgen(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty());
    }
}

/// A server that says nothing must not hold a run up beyond its own time limits.
#[test]
fn no_run_outlives_its_own_deadlines() {
    let begin = std::time::Instant::now();
    let (code, _) = fanout(Fault::NeverWelcomes);
    assert_eq!(code, Some(1));
    assert!(begin.elapsed() < Duration::from_secs(10));
}
