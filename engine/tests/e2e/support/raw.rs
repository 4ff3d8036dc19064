//! A socket for saying wrong things: bytes as they are.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::{Answer, Ended, PATIENCE, Server, token};

/// A TCP connection, perhaps upgraded.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

impl Raw {
    pub(crate) fn connect(server: &Server) -> Self {
        Self::over(TcpStream::connect(&server.address).unwrap())
    }

    /// On a connection that was made in a way of its own.
    pub(crate) fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new() }
    }

    /// Upgraded with a token of development mode, welcome read. `more` are header lines.
    pub(crate) fn welcomed(server: &Server, more: &str) -> Self {
        let token = token("raw", "user", serde_json::json!({}));
        Self::connect(server).upgraded(&token, more)
    }

    /// Upgraded, welcome read.
    pub(crate) fn upgraded(mut self, token: &str, more: &str) -> Self {
        self.send(upgrade(token, more).as_bytes());
        let head = self.head();
        assert_eq!(head.status, 101, "{head:?}");
        let (_, welcome) = self.frame().unwrap();
        assert!(welcome.windows(7).any(|window| window == b"welcome"), "{welcome:x?}");
        self
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        // The server may have closed on us already, which is what some tests want.
        let _ = self.stream.write_all(bytes);
    }

    /// A masked frame with any first byte.
    pub(crate) fn send_frame(&mut self, first: u8, payload: &[u8]) {
        self.send(&frame(first, payload));
    }

    fn fill(&mut self) -> bool {
        let mut bytes = [0; 4_096];
        match self.stream.read(&mut bytes) {
            Ok(0) => false,
            Ok(len) => {
                self.buffer.extend_from_slice(&bytes[..len]);
                true
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                panic!("nothing came within {PATIENCE:?}")
            }
            Err(_) => false,
        }
    }

    /// An HTTP answer's head; what follows it stays.
    pub(crate) fn head(&mut self) -> Answer {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
                return super::http::parse(&String::from_utf8(head).unwrap());
            }
            assert!(self.fill(), "closed instead of an answer");
        }
    }

    /// The next frame's first byte and payload; nothing at the end.
    pub(crate) fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some(frame) = self.whole_frame() {
                return Some(frame);
            }
            if !self.fill() {
                return None;
            }
        }
    }

    /// A frame that has come already.
    pub(crate) fn whole_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let (head, len) = match &self.buffer[..] {
            [_, 126, high, low, ..] => (4, usize::from(u16::from_be_bytes([*high, *low]))),
            [_, 127, ..] => panic!("longer than any test wants"),
            [_, len, ..] if *len < 126 => (2, usize::from(*len)),
            _ => return None,
        };
        let first = self.buffer[0];
        let payload = self.buffer.get(head..head + len)?.to_vec();
        self.buffer.drain(..head + len);
        Some((first, payload))
    }

    /// Takes what has come, on a socket that was told not to block; false at the end.
    pub(crate) fn take_in(&mut self) -> bool {
        let mut bytes = [0; 16_384];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return false,
                Ok(len) => self.buffer.extend_from_slice(&bytes[..len]),
                Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
            }
        }
    }

    /// Reads to the end and tells how it came.
    pub(crate) fn end(&mut self) -> Ended {
        while let Some((first, payload)) = self.frame() {
            if first & 0x0f == 8 {
                // Answer, so that both have closed.
                self.send_frame(0x88, &payload);
                return Ended::Code(payload.first_chunk().map_or(1_005, |code| u16::from_be_bytes(*code)));
            }
        }
        Ended::Cut
    }

    /// Everything until the other side closes.
    pub(crate) fn rest(&mut self) -> String {
        while self.fill() {}
        String::from_utf8_lossy(&self.buffer).into_owned()
    }
}

/// The request for an upgrade.
pub(crate) fn upgrade(token: &str, more: &str) -> String {
    format!(
        "GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Authorization: Bearer {token}\r\n{more}\r\n"
    )
}

/// A masked frame with any first byte.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..=125 => bytes.push(0x80 | len as u8),
        len => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&(len as u16).to_be_bytes());
        }
    }
    let key = [0x37, 0xfa, 0x21, 0x3d];
    bytes.extend_from_slice(&key);
    bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}
