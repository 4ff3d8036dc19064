//! As much of HTTP/1.1 as a load generator needs: one answer's status and body, and fetching a page.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::plan::Target;

/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long a page may take.
const PAGE_TIMEOUT: Duration = Duration::from_secs(5);

/// A whole answer at the front of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: u16,
    /// Where its body begins.
    pub(crate) body: usize,
    /// Where it ends.
    pub(crate) end: usize,
    /// Whether the server closes the connection after it.
    pub(crate) last: bool,
}

impl Answer {
    /// Reads one; `None` while it is not whole.
    ///
    /// # Errors
    /// It is no HTTP answer, too long, or has no `content-length` (chunks are not read).
    pub(crate) fn read(bytes: &[u8]) -> Result<Option<Self>, &'static str> {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut answer = httparse::Response::new(&mut headers);
        let body = match answer.parse(bytes) {
            Ok(httparse::Status::Complete(len)) => len,
            Ok(httparse::Status::Partial) if bytes.len() < ANSWER_BYTES_MAX => return Ok(None),
            Ok(httparse::Status::Partial) => return Err("the answer's head is too long"),
            Err(_) => return Err("the answer is not HTTP"),
        };
        let header = |name: &str| {
            let found = answer.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
            found.and_then(|header| std::str::from_utf8(header.value).ok())
        };
        let len = match header("content-length") {
            Some(len) => len.parse().map_err(|_| "the answer's content-length is no number")?,
            None if answer.code == Some(204) => 0,
            None => return Err("the answer has no content-length"),
        };
        if len > ANSWER_BYTES_MAX {
            return Err("the answer is too long");
        }
        let (end, last) =
            (body + len, header("connection").is_some_and(|it| it.eq_ignore_ascii_case("close")));
        let status = answer.code.unwrap_or(0);
        Ok((end <= bytes.len()).then_some(Self { status, body, end, last }))
    }
}

/// Fetches a page; the answer must be 200.
///
/// # Errors
/// No connection, no answer in time, or another answer.
pub(crate) fn fetch(target: &Target) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&target.addr, PAGE_TIMEOUT)?;
    stream.set_read_timeout(Some(PAGE_TIMEOUT))?;
    stream.set_write_timeout(Some(PAGE_TIMEOUT))?;
    write!(stream, "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", target.path, target.host)?;
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        if let Some(answer) = Answer::read(&bytes).map_err(io::Error::other)? {
            if answer.status != 200 {
                return Err(io::Error::other(format!("HTTP status {}", answer.status)));
            }
            let body = bytes[answer.body..answer.end].to_vec();
            return String::from_utf8(body).map_err(io::Error::other);
        }
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            len => bytes.extend_from_slice(&buffer[..len]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_when_it_is_whole_and_not_before() {
        let text = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhelloHTTP/1.1";
        let whole = text.len() - 8;
        for end in 0..whole {
            assert_eq!(Answer::read(&text[..end]), Ok(None), "{end}");
        }
        let answer = Answer::read(text).unwrap().unwrap();
        assert_eq!((answer.status, &text[answer.body..answer.end], answer.last), (200, &b"hello"[..], false));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for bad in [
            &b"SSH-2.0\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n",
        ] {
            assert!(Answer::read(bad).is_err());
        }
        let closing = b"HTTP/1.1 429 X\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        assert!(Answer::read(closing).unwrap().unwrap().last);
    }
}
