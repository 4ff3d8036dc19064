//! Clients that other people wrote follow a room's context, wherever in it they come.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::conformance::{script, setup, target};
use crate::describe::npm;
use crate::support::{Client, Server, chromium, eventually, eventually_within, request, token};

/// Messages, and how many members each client has in the end: one more every forty.
const MESSAGES: u64 = 220;
const MEMBERS: usize = 6;

fn config(origin: &str) -> String {
    format!(
        "[limits]\ncommands_per_minute = 0\n[auth]\nallowed_origins = [{origin:?}]\n\
         [[room_type]]\nname = \"context\"\ncompression_reset = 16\n"
    )
}

fn url(server: &Server) -> String {
    format!("ws://{}/v1/ws?token={}", server.address, token("ada", "user", json!({})))
}

/// Waits until so many are in the room.
fn wait_for_members(server: &Server, count: usize) {
    let bearer = format!("Bearer {}", token("root", "admin", json!({})));
    eventually_within(Duration::from_secs(60), "members", || {
        let rooms = request(server, "GET", "/v1/rooms", &[("authorization", &bearer)], "").json();
        let room = rooms["rooms"].as_array().unwrap().iter().find(|room| room["room"] == "context:1")?;
        (room["members"] == count).then_some(())
    });
}

/// Publishes to whoever is there, and gives all of it. The first member lets others come, which are waited for.
fn publish_all(server: &Server) -> Vec<Value> {
    wait_for_members(server, 1);
    let mut publisher = Client::join_server(server, "publisher", "user");
    let all: Vec<Value> = (0..MESSAGES)
        .map(|number| {
            // Now and then something of another kind, and something that would fill a window.
            let text = match number % 50 {
                7 => "é\u{2028}\"\\".repeat(number as usize),
                31 => (0..3_000).map(|at| char::from(b'a' + (at * at * (number + 3) % 23) as u8)).collect(),
                _ => "records are compared with the reference data set of this week".to_owned(),
            };
            json!({ "operation": "op-2291", "number": number, "percentage": number % 100, "text": text })
        })
        .collect();
    for (number, data) in (1..).zip(&all) {
        publisher.publish("context:1", data.clone());
        if number % 40 == 0 {
            wait_for_members(server, 1 + number / 40);
        }
    }
    let end = json!({ "type": "publish", "room": "context:1", "event": "end", "data": null });
    publisher.ask(end);
    all
}

/// Every member agreed on compression and has read everything after its join.
fn check(members: &Value, all: &[Value]) {
    let members = members.as_array().unwrap();
    assert_eq!(members.len(), MEMBERS);
    for member in members {
        let extensions = member["extensions"].as_str().unwrap();
        assert!(extensions.starts_with("permessage-deflate"), "{extensions:?}");
        let from = member["offset"].as_u64().unwrap() as usize;
        assert_eq!(member["data"].as_array().unwrap(), &all[from..], "after {from}");
    }
}

/// Most of it went in step, and took a fraction of its bytes.
fn check_metrics(server: &Server) {
    let of = |name: &str| server.metric(&format!("fanfare_compression_{name}{{room_type=\"context\"}}"));
    // Counts are a quarter of a second old at most.
    eventually("most frames in step", || {
        let is_most = of("in_step_total") > of("alone_total") + of("none_total");
        (is_most && server.metric("fanfare_compression_resets_total") > 5.0).then_some(())
    });
}

fn read_by(mut command: Command) {
    let server = Server::with(&config("http://127.0.0.1"));
    let mut child: Child = command.arg(url(&server)).stdout(Stdio::piped()).spawn().unwrap();
    let all = publish_all(&server);
    let mut told = String::new();
    child.stdout.take().unwrap().read_to_string(&mut told).unwrap();
    assert!(child.wait().unwrap().success());
    check(&serde_json::from_str(&told).unwrap(), &all);
    check_metrics(&server);
}

#[test]
fn python_websockets_follow_from_wherever_they_come() {
    let (code, told) = setup();
    assert!([0, 3].contains(&code), "{told}");
    let mut command = Command::new(target().join("venv/bin/python"));
    command.arg(script("members.py"));
    read_by(command);
}

#[test]
fn node_ws_follows_from_wherever_it_comes() {
    let Some(library) = npm("ws", "8.18.3") else { return };
    // Node takes what follows the script, so the library is named last.
    let mut command = Command::new("sh");
    command.args(["-c", "exec node \"$0\" \"$2\" \"$1\""]).arg(script("members.js")).arg(library);
    read_by(command);
}

/// Serves the page and takes what it tells.
fn told_by_page(listener: &TcpListener, page: &str) -> String {
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut head = String::new();
        while reader.read_line(&mut head).unwrap() > 2 {}
        if head.starts_with("POST") {
            let header = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
            let mut body = vec![0; header.unwrap()];
            reader.read_exact(&mut body).unwrap();
            return String::from_utf8(body).unwrap();
        }
        let body = if head.starts_with("GET / ") { page } else { "" };
        let _ = write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
    }
    unreachable!("a listener never ends")
}

/// A browser of the test's own; dropping it ends it.
struct Browser(Child, PathBuf);

impl Browser {
    fn open(binary: &Path, url: &str) -> Self {
        let profile = std::env::temp_dir().join(format!("fanfare-browser-{}", std::process::id()));
        let child = Command::new(binary)
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(url)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child, profile)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        let _ = std::fs::remove_dir_all(&self.1);
    }
}

#[test]
fn chromium_follows_from_wherever_it_comes() {
    let Some(binary) = chromium() else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let server = Server::with(&config(&origin));
    let library = std::fs::read_to_string(script("members.js")).unwrap();
    let page = format!(
        "<!doctype html><script>{library}\nreadAll(WebSocket, {:?}, (members) => \
         fetch('/', {{ method: 'POST', body: JSON.stringify(members) }}));</script>",
        url(&server)
    );
    let told = std::thread::spawn(move || told_by_page(&listener, &page));
    let _browser = Browser::open(&binary, &origin);
    let all = publish_all(&server);
    check(&serde_json::from_str(&told.join().unwrap()).unwrap(), &all);
    check_metrics(&server);
}
