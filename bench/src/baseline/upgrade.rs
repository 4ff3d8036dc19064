//! The upgrade of a connection to WebSocket (RFC 6455 §4.2).

use std::io::{self, ErrorKind, Write};

use tungstenite::handshake::derive_accept_key;

/// The answer to a whole upgrade request and the request's length; nothing while the request is not whole.
///
/// # Errors
/// The request has no `Sec-WebSocket-Key`.
pub(super) fn upgrade(input: &[u8]) -> io::Result<Option<(Vec<u8>, usize)>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_answered_and_the_first_protocol_taken() {
        let request = b"GET / HTTP/1.1\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
            Sec-WebSocket-Protocol: fanfare.v1.json, token.x\r\n\r\nrest";
        assert_eq!(upgrade(&request[..40]).unwrap(), None);
        let (answer, len) = upgrade(request).unwrap().unwrap();
        let answer = String::from_utf8(answer).unwrap();
        // The key and its answer are those of RFC 6455 §1.3.
        assert!(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{answer}");
        assert!(answer.contains("Sec-WebSocket-Protocol: fanfare.v1.json\r\n\r\n"), "{answer}");
        assert_eq!(&request[len..], b"rest");
        assert!(upgrade(b"GET / HTTP/1.1\r\n\r\n").is_err());
    }
}
