//! The baselines answer as the engine does in what they are compared in: a comparison with one that loses messages or
//! mixes them up would say nothing.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fanfare_sys::Flusher;
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

const PATIENCE: Duration = Duration::from_secs(20);

/// A running baseline; dropping it ends it.
struct Baseline {
    child: Child,
    addr: SocketAddr,
}

impl Drop for Baseline {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Baseline {
    fn start(program: &str) -> Self {
        // It chooses its port itself: one that was free a moment ago may be another test's by now.
        let mut child = Command::new(program)
            .args(["--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let addr = line.trim_end().strip_prefix("listening on ").expect(program).parse().unwrap();
        Self { child, addr }
    }

    fn client(&self) -> Client {
        let stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let (socket, _) = tungstenite::client(format!("ws://{}/v1/ws", self.addr), stream).unwrap();
        let mut client = Client(socket);
        assert_eq!(client.next()["type"], "welcome");
        client
    }

    fn member(&self, room: &str) -> Client {
        let mut client = self.client();
        client.say(&json!({"type": "join", "id": 1, "room": room}));
        assert_eq!(client.next()["type"], "joined");
        client
    }
}

struct Client(WebSocket<TcpStream>);

impl Client {
    fn say(&mut self, command: &Value) {
        self.0.send(Message::text(command.to_string())).unwrap();
    }

    /// Several commands in one write, for the server to find in one read.
    fn say_at_once(&mut self, commands: &[Value]) {
        let mut bytes = Vec::new();
        for command in commands {
            let text = command.to_string();
            let len = u8::try_from(text.len()).unwrap();
            bytes.push(0x81);
            // A mask of zeros leaves the text as it is.
            match len {
                ..=125 => bytes.push(0x80 | len),
                _ => bytes.extend([0xfe, 0, len]),
            }
            bytes.extend([0; 4]);
            bytes.extend(text.as_bytes());
        }
        self.0.get_mut().write_all(&bytes).unwrap();
    }

    fn next(&mut self) -> Value {
        loop {
            if let Message::Text(text) = self.0.read().unwrap() {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    /// Reads messages of a room with these offsets, one after the other.
    fn expect(&mut self, offsets: impl Iterator<Item = u64>) {
        for offset in offsets {
            let message = self.next();
            assert_eq!((&message["type"], &message["offset"]), (&json!("say"), &json!(offset)));
        }
    }
}

fn publish(room: &str, data: &Value) -> Value {
    json!({"type": "publish", "id": 2, "room": room, "event": "say", "data": data})
}

/// Every baseline that can run here.
fn each(test: impl Fn(&Baseline)) {
    test(&Baseline::start(env!("CARGO_BIN_EXE_plain")));
    each_bare(test);
}

/// Those without a runtime.
fn each_bare(test: impl Fn(&Baseline)) {
    test(&Baseline::start(env!("CARGO_BIN_EXE_floor")));
    match Flusher::ring(8) {
        Ok(_) => test(&Baseline::start(env!("CARGO_BIN_EXE_ring"))),
        Err(error) => eprintln!("io_uring is refused here, so the ring is not tried: {error}"),
    }
}

#[test]
fn members_get_every_message_of_their_room_once_and_in_order() {
    each(|baseline| {
        let mut members = [baseline.member("a:1"), baseline.member("a:1")];
        let mut elsewhere = baseline.member("b:1");
        let mut publisher = baseline.client();
        let (to_a, to_b) = (publish("a:1", &json!({"n": 1})), publish("b:1", &json!(null)));
        publisher.say_at_once(&[to_a.clone(), to_b, to_a.clone(), to_a]);
        for offset in [1, 1, 2, 3] {
            let answer = publisher.next();
            assert_eq!((&answer["type"], &answer["offset"]), (&json!("published"), &json!(offset)));
        }
        members.iter_mut().for_each(|member| member.expect(1..=3));
        elsewhere.expect(1..=1);
        // The next thing that everybody hears is the next message: nothing came twice.
        publisher.say(&publish("a:1", &json!("last")));
        publisher.say(&publish("b:1", &json!("last")));
        members.iter_mut().for_each(|member| member.expect(4..=4));
        elsewhere.expect(2..=2);
    });
}

#[test]
fn who_joins_behind_a_publish_of_the_same_read_is_told_its_offset_and_not_the_message() {
    each(|baseline| {
        let mut first = baseline.member("a:1");
        let mut second = baseline.client();
        let join = json!({"type": "join", "id": 1, "room": "a:1"});
        let say = publish("a:1", &json!(1));
        second.say_at_once(&[say.clone(), join, say]);
        let heard: Vec<_> = (0..4).map(|_| second.next()).collect();
        let told = heard.iter().map(|heard| (heard["type"].as_str().unwrap(), heard["offset"].as_u64()));
        let mut told: Vec<_> = told.collect();
        // The answer to the second publish and the message itself are two ways: either may be first.
        told[2..].sort_unstable();
        let expected = [("published", 1), ("joined", 1), ("published", 2), ("say", 2)];
        assert_eq!(told, expected.map(|(kind, offset)| (kind, Some(offset))));
        first.expect(1..=2);
    });
}

#[test]
fn who_joins_twice_gets_everything_once() {
    each_bare(|baseline| {
        let mut member = baseline.member("a:1");
        member.say(&json!({"type": "join", "id": 2, "room": "a:1"}));
        assert_eq!(member.next()["type"], "joined");
        let mut publisher = baseline.client();
        publisher.say_at_once(&[publish("a:1", &json!(1)), publish("a:1", &json!(2))]);
        member.expect(1..=2);
    });
}

#[test]
fn a_member_that_reads_late_gets_everything_and_holds_nobody_up() {
    const MESSAGES: u64 = 300;
    each(|baseline| {
        let (mut late, mut early) = (baseline.member("a:1"), baseline.member("a:1"));
        let mut publisher = baseline.client();
        // Far more than the kernel's buffers of a connection hold.
        let say = publish("a:1", &json!("x".repeat(60_000)));
        for offset in 1..=MESSAGES {
            publisher.say(&say);
            assert_eq!(publisher.next()["offset"], offset);
            early.expect(offset..=offset);
        }
        late.expect(1..=MESSAGES);
        publisher.say(&publish("a:1", &json!(null)));
        late.expect(MESSAGES + 1..=MESSAGES + 1);
    });
}

#[test]
fn a_member_that_is_gone_costs_the_others_nothing() {
    each(|baseline| {
        let (mut stays, goes) = (baseline.member("a:1"), baseline.member("a:1"));
        let mut publisher = baseline.client();
        drop(goes);
        for offset in 1..=20 {
            publisher.say(&publish("a:1", &json!(null)));
            assert_eq!(publisher.next()["offset"], offset);
            stays.expect(offset..=offset);
        }
    });
}

#[test]
fn what_is_no_command_is_refused_and_what_is_no_frame_ends_the_connection() {
    each(|baseline| {
        let mut client = baseline.client();
        client.say(&json!({"type": "dance", "id": "x"}));
        let answer = client.next();
        assert_eq!((&answer["id"], &answer["code"]), (&json!("x"), &json!(4005)));
        client.0.get_mut().write_all(&[0xff; 16]).unwrap();
        // Whatever goodbye it says, the end follows.
        let mut rest = Vec::new();
        let end = client.0.get_mut().read_to_end(&mut rest);
        assert!(end.is_ok() || end.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
    });
}
