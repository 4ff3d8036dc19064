//! Refusing a client over the WebSocket it just opened: a browser sees neither status nor body of an upgrade
//! that failed, but it does see a close code.

use fanfare_protocol::wire::Reply;
use fanfare_protocol::ws::{encode_close, encode_frame};
use fanfare_protocol::{Code, Encoding};

/// An `error` and the close frame.
pub(crate) fn frames(encoding: Encoding, code: Code, message: &str) -> Vec<u8> {
    let error = Reply::Error { code, message, field: None };
    let mut payload = Vec::new();
    encoding.encode_reply(&error, None, &mut payload);
    let mut bytes = Vec::new();
    encode_frame(&mut bytes, encoding.opcode(), false, &payload);
    encode_close(&mut bytes, code.number(), message);
    bytes
}
