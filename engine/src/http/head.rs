//! Reading the head of a request: bounded before it is decoded, and checked for what the decoder lets through.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri, Version, header};
use monoio_codec::{Decoded, Decoder};
use monoio_http::h1::codec::decoder::RequestHeadDecoder;

use crate::http::connection::{BodyLength, Connection, End};

/// A request line and its header fields.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) body: BodyLength,
    pub(crate) keep_alive: bool,
    /// Who asks.
    pub(crate) peer: SocketAddr,
    /// The body of a request that the server makes itself.
    pub(crate) given: Option<Bytes>,
    /// Whether it is answered whoever asks: for what a profile shows everybody.
    pub(crate) trusted: bool,
}

/// Why there is no head.
pub(crate) enum Failure {
    End(End),
    TooLarge,
    Malformed(&'static str),
}

/// Reads until the head is complete.
pub(crate) async fn read(
    connection: &mut Connection,
    bytes_max: usize,
    patience: Duration,
) -> Result<Head, Failure> {
    let deadline = monoio::time::Instant::now() + patience;
    let (mut searched, mut skipped) = (0, 0);
    loop {
        // Empty lines before a request are allowed (RFC 9112 §2.2).
        while connection.buffer.starts_with(b"\r\n") {
            let _ = connection.buffer.split_to(2);
            skipped += 2;
        }
        // The end is looked for where it was not looked before, so that a head that dribbles in costs no more
        // than one that comes at once.
        if let Some(end) = find_end(&connection.buffer, searched) {
            if end > bytes_max {
                return Err(Failure::TooLarge);
            }
            return decode(connection, end);
        }
        if connection.buffer.len() + skipped > bytes_max {
            return Err(Failure::TooLarge);
        }
        searched = connection.buffer.len().saturating_sub(3);
        let left = deadline.saturating_duration_since(monoio::time::Instant::now());
        connection.read(left).await.map_err(Failure::End)?;
    }
}

/// Where the head ends, its empty line included.
fn find_end(bytes: &[u8], from: usize) -> Option<usize> {
    bytes[from..].windows(4).position(|window| window == b"\r\n\r\n").map(|at| from + at + 4)
}

fn decode(connection: &mut Connection, end: usize) -> Result<Head, Failure> {
    check_lines(&connection.buffer[..end])?;
    let mut head = connection.buffer.split_to(end);
    match RequestHeadDecoder.decode(&mut head) {
        Ok(Decoded::Some(decoded)) => {
            let (method, uri) = (decoded.method, decoded.uri);
            checked(method, uri, decoded.version, decoded.headers, connection.peer)
        }
        Ok(_) => Err(Failure::Malformed("the request's head is not complete")),
        Err(_) => Err(Failure::Malformed("the request's head is malformed")),
    }
}

/// Refuses what parsers disagree on: bare line feeds, folded lines, over-long names (on which the decoder would
/// panic), too many fields.
fn check_lines(head: &[u8]) -> Result<(), Failure> {
    const FIELDS_MAX: usize = 64;
    const NAME_BYTES_MAX: usize = 256;
    let mut fields = 0;
    let lines = head.split(|&byte| byte == b'\n');
    for (number, line) in lines.enumerate() {
        if line.is_empty() {
            continue;
        }
        let Some(line) = line.strip_suffix(b"\r") else {
            return Err(Failure::Malformed("a line of the head does not end with CR LF"));
        };
        if number == 0 || line.is_empty() {
            continue;
        }
        fields += 1;
        if fields > FIELDS_MAX {
            return Err(Failure::TooLarge);
        }
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            return Err(Failure::Malformed("a header field is folded"));
        }
        let name = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
        if name > NAME_BYTES_MAX {
            return Err(Failure::TooLarge);
        }
    }
    Ok(())
}

fn checked(
    method: Method,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
    peer: SocketAddr,
) -> Result<Head, Failure> {
    if version != Version::HTTP_11 && version != Version::HTTP_10 {
        return Err(Failure::Malformed("only HTTP/1.0 and HTTP/1.1 are spoken here"));
    }
    let lengths = headers.get_all(header::CONTENT_LENGTH).iter().count();
    let codings = headers.get_all(header::TRANSFER_ENCODING).iter().count();
    if lengths + codings > 1 {
        return Err(Failure::Malformed("the body's length is given more than once"));
    }
    let body = if let Some(length) = headers.get(header::CONTENT_LENGTH) {
        let digits = length.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        match digits.and_then(|text| text.parse().ok()) {
            Some(0) => BodyLength::None,
            Some(length) => BodyLength::Fixed(length),
            None => return Err(Failure::Malformed("`content-length` is not a number")),
        }
    } else if let Some(coding) = headers.get(header::TRANSFER_ENCODING) {
        if !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
            return Err(Failure::Malformed("`transfer-encoding` must be chunked"));
        }
        BodyLength::Chunked
    } else {
        BodyLength::None
    };
    // RFC 9112 §3.2.
    match headers.get_all(header::HOST).iter().count() {
        0 if version == Version::HTTP_11 => return Err(Failure::Malformed("`host` is missing")),
        0 | 1 => {}
        _ => return Err(Failure::Malformed("`host` is given more than once")),
    }
    let named = |name: &str| {
        let values = headers.get_all(header::CONNECTION);
        let mut tokens =
            values.iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
        tokens.any(|token| token.trim().eq_ignore_ascii_case(name))
    };
    let keep_alive = if version == Version::HTTP_11 { !named("close") } else { named("keep-alive") };
    Ok(Head { method, uri, version, headers, body, keep_alive, peer, given: None, trusted: false })
}
