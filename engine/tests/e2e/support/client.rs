//! A WebSocket client made of tungstenite, blocking, with a deadline on everything.

use std::net::TcpStream;
use std::time::Instant;

use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::http::{HeaderName, HeaderValue};
use tungstenite::{Message, WebSocket};

use super::{PATIENCE, Server, token};

/// One connection.
pub(crate) struct Client {
    pub(crate) socket: WebSocket<TcpStream>,
    packed: bool,
    next_id: i64,
}

/// How a connection came to its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// A close frame with this code (1005: without one).
    Code(u16),
    /// Without a close frame.
    Cut,
}

impl Client {
    /// Connects with a token of development mode and reads the welcome.
    pub(crate) fn join_server(server: &Server, user: &str, role: &str) -> Self {
        Self::welcomed(server, "/v1/ws", &[("authorization", &bearer(user, role))])
    }

    /// The same in MessagePack.
    pub(crate) fn packed(server: &Server, user: &str, role: &str) -> Self {
        let headers =
            [("authorization", &*bearer(user, role)), ("sec-websocket-protocol", "fanfare.v1.msgpack")];
        Self::welcomed(server, "/v1/ws", &headers)
    }

    /// Connects and expects a welcome.
    pub(crate) fn welcomed(server: &Server, path: &str, headers: &[(&str, &str)]) -> Self {
        let mut client =
            Self::connect(server, path, headers).unwrap_or_else(|status| panic!("HTTP {status}"));
        client.expect("welcome");
        client
    }

    /// Connects; the error is the HTTP status.
    pub(crate) fn connect(server: &Server, path: &str, headers: &[(&str, &str)]) -> Result<Self, u16> {
        let mut request = format!("ws://{}{path}", server.address).into_client_request().unwrap();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
        }
        let stream = TcpStream::connect(&server.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        match tungstenite::client(request, stream) {
            Ok((socket, response)) => {
                let protocol = response.headers().get("sec-websocket-protocol");
                let packed = protocol.is_some_and(|value| value == "fanfare.v1.msgpack");
                Ok(Self { socket, packed, next_id: 1 })
            }
            Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(response))) => {
                Err(response.status().as_u16())
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Sends a command as it is.
    pub(crate) fn send(&mut self, command: &Value) {
        assert!(self.try_send(command), "the connection is gone");
    }

    /// The same, unless the connection is gone.
    pub(crate) fn try_send(&mut self, command: &Value) -> bool {
        let message = if self.packed {
            Message::binary(rmp_serde::to_vec_named(command).unwrap())
        } else {
            Message::text(command.to_string())
        };
        self.socket.send(message).is_ok()
    }

    /// Sends a command with a new id and gives its answer; messages in between are lost.
    pub(crate) fn ask(&mut self, mut command: Value) -> Value {
        let id = self.next_id;
        self.next_id += 1;
        command["id"] = id.into();
        self.send(&command);
        loop {
            let answer =
                self.receive().unwrap_or_else(|ended| panic!("{ended:?} instead of an answer to {command}"));
            if answer["id"] == id {
                return answer;
            }
        }
    }

    pub(crate) fn join(&mut self, room: &str) -> Value {
        let answer = self.ask(json!({"type": "join", "room": room}));
        assert_eq!(answer["type"], "joined", "{answer}");
        answer
    }

    /// Publishes and gives the offset.
    pub(crate) fn publish(&mut self, room: &str, data: Value) -> u64 {
        let answer = self.ask(json!({"type": "publish", "room": room, "event": "say", "data": data}));
        assert_eq!(answer["type"], "published", "{answer}");
        answer["offset"].as_u64().unwrap()
    }

    /// The next message, or the end.
    pub(crate) fn receive(&mut self) -> Result<Value, Ended> {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => return Ok(serde_json::from_str(&text).unwrap()),
                Ok(Message::Binary(bytes)) => return Ok(rmp_serde::from_slice(&bytes).unwrap()),
                Ok(Message::Close(frame)) => {
                    return Err(Ended::Code(frame.map_or(1_005, |frame| frame.code.into())));
                }
                Ok(_) => {}
                Err(tungstenite::Error::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    panic!("nothing came within {PATIENCE:?}")
                }
                Err(_) => return Err(Ended::Cut),
            }
        }
    }

    /// The next message, which must be of this type.
    pub(crate) fn expect(&mut self, kind: &str) -> Value {
        let message = self.receive().unwrap_or_else(|ended| panic!("{ended:?} instead of {kind}"));
        assert_eq!(message["type"], kind, "{message}");
        message
    }

    /// The next message of this type; what comes before it is lost.
    pub(crate) fn until(&mut self, kind: &str) -> Value {
        loop {
            let message = self.receive().unwrap_or_else(|ended| panic!("{ended:?} before {kind}"));
            if message["type"] == kind {
                return message;
            }
        }
    }

    /// Asserts that nothing came before now: a heartbeat's answer is the next thing.
    pub(crate) fn expect_nothing(&mut self) {
        self.send(&json!({"type": "heartbeat", "id": "nothing"}));
        self.expect("heartbeat_ack");
    }

    /// Reads to the end; the messages before it are given too.
    pub(crate) fn end(&mut self) -> (Vec<Value>, Ended) {
        let (mut messages, deadline) = (Vec::new(), Instant::now() + PATIENCE);
        loop {
            match self.receive() {
                Ok(message) => messages.push(message),
                Err(ended) => return (messages, ended),
            }
            assert!(Instant::now() < deadline, "no end");
        }
    }
}

fn bearer(user: &str, role: &str) -> String {
    format!("Bearer {}", token(user, role, json!({})))
}
