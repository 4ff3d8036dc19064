//! The opening handshake from the client's side (RFC 6455 §4.1): the request, and checking the answer.

use std::borrow::Cow;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fanfare_protocol::deflate;
use tungstenite::handshake::derive_accept_key;

use crate::failure::Failure;
use crate::plan::{Deflate, Plan};
use crate::raw::own_path;

/// Longest answer head that is read.
pub(crate) const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The nonce of connection `index`: different for each, as §4.1 asks. It is no secret and needs no good
/// randomness; it only shows that the answer belongs to the request.
fn nonce(index: u32) -> String {
    let high = u64::from(index).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    STANDARD.encode((u128::from(high) << 64 | u128::from(index)).to_be_bytes())
}

/// Appends the upgrade request of connection `index`.
///
/// # Errors
/// Its token could not be signed.
pub(crate) fn write_request(plan: &Plan, index: u32, out: &mut Vec<u8>) -> Result<(), Failure> {
    let token = plan.credentials.token(index).map_err(|_| Failure::Upgrade("no token could be signed"))?;
    let path = match &plan.raw {
        None => Cow::Borrowed(plan.target.path.as_str()),
        Some(_) => own_path(&plan.target.path, &plan.credentials.user(index), index).into(),
    };
    let mut head = String::with_capacity(512);
    // Writing to a String cannot fail.
    let _ = write!(
        head,
        "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\n",
        path,
        plan.target.host,
        nonce(index),
    );
    let subprotocol = match &plan.raw {
        None => Some(plan.encoding.subprotocol()),
        Some(raw) => raw.table().subprotocol.as_deref(),
    };
    if let Some(subprotocol) = subprotocol {
        let _ = write!(head, "Sec-WebSocket-Protocol: {subprotocol}\r\n");
    }
    if let Some(server) = plan.deflate.server_context() {
        let _ = write!(head, "Sec-WebSocket-Extensions: {}\r\n", deflate::offer(server));
    }
    if let Some(token) = token {
        let _ = write!(head, "Authorization: Bearer {token}\r\n");
    }
    head.push_str("\r\n");
    out.extend_from_slice(head.as_bytes());
    Ok(())
}

/// Reads the answer: `None` while the head is incomplete, then its length in bytes.
///
/// # Errors
/// Another status than 101, or an answer that RFC 6455 §4.1 tells a client to fail on.
pub(crate) fn read_answer(plan: &Plan, index: u32, bytes: &[u8]) -> Result<Option<usize>, Failure> {
    let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
        return if bytes.len() > HEAD_BYTES_MAX { Err(Failure::Upgrade("head too long")) } else { Ok(None) };
    };
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| Failure::Upgrade("head is not text"))?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
    match status {
        Some(101) => {}
        Some(status) => return Err(Failure::HttpStatus(status)),
        None => return Err(Failure::Upgrade("no HTTP status")),
    }
    let (mut accepted, mut compressed) = (false, false);
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        if name.eq_ignore_ascii_case("sec-websocket-accept") {
            accepted = value == derive_accept_key(nonce(index).as_bytes());
        } else if name.eq_ignore_ascii_case("sec-websocket-extensions") {
            let server = plan.deflate.server_context();
            let server = server.ok_or(Failure::Upgrade("an extension nobody offered"))?;
            deflate::accept(value, server).map_err(Failure::Upgrade)?;
            compressed = true;
        }
    }
    if !accepted {
        return Err(Failure::Upgrade("wrong Sec-WebSocket-Accept"));
    }
    if plan.deflate != Deflate::None && !compressed {
        // Going on would measure something else than was asked for.
        return Err(Failure::Upgrade("permessage-deflate not agreed"));
    }
    Ok(Some(end + 4))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::plan;

    fn answer(index: u32, more: &str) -> Vec<u8> {
        let accept = derive_accept_key(nonce(index).as_bytes());
        format!("HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: {accept}\r\n{more}\r\nrest")
            .into_bytes()
    }

    #[test]
    fn the_request_is_one_that_tungstenite_accepts() {
        let mut plan = plan();
        plan.deflate = Deflate::Alone;
        let mut request = Vec::new();
        write_request(&plan, 3, &mut request).unwrap();
        let text = String::from_utf8(request).unwrap();
        assert!(text.starts_with("GET /v1/ws HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"));
        assert!(text.contains("Sec-WebSocket-Protocol: fanfare.v1.json\r\n"));
        assert!(text.contains("permessage-deflate") && text.contains("server_no_context_takeover"));
        assert!(text.contains("Authorization: Bearer e"));
        assert!(text.ends_with("\r\n\r\n"));
    }

    #[test]
    fn a_right_answer_is_accepted_at_its_full_length_only() {
        let plan = plan();
        let bytes = answer(3, "x: y\r\n");
        let len = bytes.len() - 4;
        for end in 0..len {
            assert_eq!(read_answer(&plan, 3, &bytes[..end]), Ok(None));
        }
        assert_eq!(read_answer(&plan, 3, &bytes), Ok(Some(len)));
    }

    #[test]
    fn wrong_answers_are_failures_of_their_own_kind() {
        let mut plan = plan();
        let wrong_key = read_answer(&plan, 4, &answer(3, ""));
        assert_eq!(wrong_key, Err(Failure::Upgrade("wrong Sec-WebSocket-Accept")));
        let refused = read_answer(&plan, 3, b"HTTP/1.1 401 Unauthorized\r\n\r\n");
        assert_eq!(refused, Err(Failure::HttpStatus(401)));
        assert!(read_answer(&plan, 3, b"SSH-2.0-x\r\n\r\n").is_err());
        assert!(read_answer(&plan, 3, &[b'x'; HEAD_BYTES_MAX + 1]).is_err());
        let unasked = answer(3, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
        assert!(read_answer(&plan, 3, &unasked).is_err());
        plan.deflate = Deflate::Shared;
        let not_agreed = read_answer(&plan, 3, &answer(3, ""));
        assert_eq!(not_agreed, Err(Failure::Upgrade("permessage-deflate not agreed")));
        assert!(read_answer(&plan, 3, &unasked).is_ok());
        plan.deflate = Deflate::Alone;
        assert!(read_answer(&plan, 3, &unasked).is_err());
    }
}
