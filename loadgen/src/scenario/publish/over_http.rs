//! `POST /v1/publish` on connections that are kept open, one request at a time on each.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::Duration;

use super::{Carrier, Fate, Sink};
use crate::clock::Clock;
use crate::failure::{Failure, Failures, Stage};
use crate::http::Answer;
use crate::plan::Plan;
use crate::sys::{Epoll, Events, READABLE, WRITABLE};

/// Where messages are published, on the host of --url.
const PATH: &str = "/v1/publish";

/// One connection; its requests are numbered with the messages they carry.
struct Line {
    stream: TcpStream,
    head: String,
    output: Vec<u8>,
    input: Vec<u8>,
    /// The message that is unanswered.
    number: Option<u32>,
    is_live: bool,
}

/// HTTP connections.
pub(super) struct OverHttp {
    clock: Clock,
    epoll: Epoll,
    events: Events,
    lines: Vec<Line>,
    failures: Failures,
}

impl OverHttp {
    /// Opens all; those that fail are counted.
    ///
    /// # Errors
    /// No epoll instance is to be had, or no token can be signed.
    pub(super) fn open(plan: &Plan, clock: Clock) -> io::Result<Self> {
        let mut all = Self {
            clock,
            epoll: Epoll::new()?,
            events: Events::with_capacity(512),
            lines: Vec::new(),
            failures: Failures::default(),
        };
        for index in 0..plan.publishers {
            let token = plan.credentials.token(index).map_err(io::Error::other)?;
            let authorization =
                token.map_or(String::new(), |token| format!("Authorization: Bearer {token}\r\n"));
            let head = format!(
                "POST {PATH} HTTP/1.1\r\nHost: {}\r\n{authorization}Content-Type: application/json\r\n",
                plan.target.host
            );
            match TcpStream::connect_timeout(&plan.target.addr, plan.timeout) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_nonblocking(true)?;
                    all.epoll.add(stream.as_fd(), all.lines.len() as u64, READABLE)?;
                    let (output, input) = (Vec::new(), Vec::new());
                    all.lines.push(Line { stream, head, output, input, number: None, is_live: true });
                }
                Err(error) => all.failures.count(&Failure::from(error)),
            }
        }
        Ok(all)
    }

    /// Writes what is queued; watches for writability while something is left.
    fn write(&mut self, index: usize) -> Result<(), Failure> {
        let line = &mut self.lines[index];
        while !line.output.is_empty() {
            match line.stream.write(&line.output) {
                Ok(0) => return Err(Failure::EndOfStream(Stage::Live)),
                Ok(len) => drop(line.output.drain(..len)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        let interest = if line.output.is_empty() { READABLE } else { READABLE | WRITABLE };
        self.epoll.modify(line.stream.as_fd(), index as u64, interest)?;
        Ok(())
    }

    /// Reads until the answer is whole.
    fn read(&mut self, index: usize, sink: Sink<'_>) -> Result<(), Failure> {
        let line = &mut self.lines[index];
        let mut buffer = [0; 4_096];
        let len = match line.stream.read(&mut buffer) {
            Ok(0) => return Err(Failure::EndOfStream(Stage::Live)),
            Ok(len) => len,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        line.input.extend_from_slice(&buffer[..len]);
        let now = self.clock.now();
        let Some(answer) = Answer::read(&line.input).map_err(Failure::Upgrade)? else { return Ok(()) };
        line.input.drain(..answer.end);
        let Some(number) = line.number.take() else { return Err(Failure::Unreadable) };
        match answer.status {
            200 => sink(index as u32, now, number, Fate::Accepted),
            status => sink(index as u32, now, number, Fate::Refused(&format!("HTTP status {status}"))),
        }
        if answer.last { Err(Failure::EndOfStream(Stage::Live)) } else { Ok(()) }
    }

    fn settle(&mut self, index: usize, outcome: Result<(), Failure>) {
        if let Err(failure) = outcome {
            let line = &mut self.lines[index];
            line.is_live = false;
            // A socket that is gone need not be watched; that it cannot be taken out changes nothing.
            let _ = self.epoll.remove(line.stream.as_fd());
            self.failures.count(&failure);
        }
    }
}

impl Carrier for OverHttp {
    fn is_live(&self, connection: u32) -> bool {
        self.lines.get(connection as usize).is_some_and(|line| line.is_live)
    }

    fn send(&mut self, connection: u32, number: u32, command: &[u8]) {
        let line = &mut self.lines[connection as usize];
        debug_assert!(line.number.is_none(), "one request at a time");
        line.number = Some(number);
        let head = format!("{}Content-Length: {}\r\n\r\n", line.head, command.len());
        line.output.extend_from_slice(head.as_bytes());
        line.output.extend_from_slice(command);
        let wrote = self.write(connection as usize);
        self.settle(connection as usize, wrote);
    }

    fn turn(&mut self, timeout: Duration, sink: Sink<'_>) -> io::Result<()> {
        let count = self.epoll.wait(&mut self.events, timeout)?;
        for event in 0..count {
            let (token, _) = self.events.get(event);
            let index = token as usize;
            let outcome = self.write(index).and_then(|()| self.read(index, sink));
            self.settle(index, outcome);
        }
        Ok(())
    }

    fn failures(&self) -> &Failures {
        &self.failures
    }
}
