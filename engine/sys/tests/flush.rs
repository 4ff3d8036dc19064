//! Both ways of flushing keep the same promises; the reader that never reads is the one that matters: a lost
//! short send would be a hole in a stream.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use fanfare_sys::{Flusher, SendError, Target, Unsent};

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    (server, client)
}

fn flushers() -> Vec<(&'static str, Flusher)> {
    let mut all = vec![("loop", Flusher::Loop)];
    match Flusher::ring(64) {
        Ok(ring) => all.push(("ring", ring)),
        Err(error) => println!("no io_uring here ({error}): only the loop is tested"),
    }
    all
}

#[test]
fn every_target_gets_the_bytes_also_when_there_are_more_than_the_ring_holds() {
    for (name, mut flusher) in flushers() {
        let pairs: Vec<_> = (0..150).map(|_| pair()).collect();
        let targets =
            pairs.iter().zip(0..).map(|((server, _), token)| Target { fd: server.as_raw_fd(), token });
        let mut unsent = Vec::new();
        flusher.send(b"hello", targets, &mut unsent);
        assert_eq!(unsent, [], "{name}");
        for (_, mut client) in pairs {
            let mut got = [0; 5];
            client.read_exact(&mut got).unwrap();
            assert_eq!(&got, b"hello", "{name}");
        }
    }
}

#[test]
fn reader_that_never_reads_gets_a_prefix_and_its_size_is_told() {
    for (name, mut flusher) in flushers() {
        let (server, mut client) = pair();
        let mut bytes: Vec<u8> = (0..8_000_000_u32).map(|n| n.to_le_bytes()[n as usize % 4]).collect();
        let expected = bytes.clone();
        let target = Target { fd: server.as_raw_fd(), token: 7 };
        let mut unsent = Vec::new();
        flusher.send(&bytes, std::iter::once(target), &mut unsent);
        // Nothing may be in flight any more: reuse of the buffer must not show on the wire.
        bytes.fill(0xEE);
        let [Unsent { token: 7, error: SendError::Blocked { taken } }] = unsent[..] else {
            panic!("{name}: expected one short send, got {unsent:?}");
        };
        assert!(taken > 0 && taken < expected.len(), "{name}: {taken}");
        unsent.clear();
        flusher.send(&bytes, std::iter::once(target), &mut unsent);
        assert_eq!(unsent, [Unsent { token: 7, error: SendError::Blocked { taken: 0 } }], "{name}");
        drop(server);
        let mut got = Vec::new();
        client.read_to_end(&mut got).unwrap();
        assert!(got == expected[..taken], "{name}: the peer did not get exactly the prefix of {taken} bytes");
    }
}

#[test]
fn a_dead_peer_is_told_apart_and_costs_the_others_nothing() {
    for (name, mut flusher) in flushers() {
        let (dead, client) = pair();
        let (alive, mut reader) = pair();
        drop(client);
        // The first write provokes the reset, which has arrived once a later write fails.
        let mut unsent = Vec::new();
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while unsent.is_empty() && std::time::Instant::now() < deadline {
            flusher.send(b"x", std::iter::once(Target { fd: dead.as_raw_fd(), token: 1 }), &mut unsent);
        }
        assert!(
            matches!(unsent[..], [Unsent { token: 1, error: SendError::Gone { .. } }]),
            "{name}: {unsent:?}"
        );
        unsent.clear();
        let closed_fd = 1_000_000;
        let targets = [(closed_fd, 2), (dead.as_raw_fd(), 3), (alive.as_raw_fd(), 4)];
        flusher.send(b"y", targets.into_iter().map(|(fd, token)| Target { fd, token }), &mut unsent);
        let mut tokens: Vec<_> = unsent.iter().map(|unsent| unsent.token).collect();
        tokens.sort_unstable();
        assert_eq!(tokens, [2, 3], "{name}");
        let mut got = [0; 1];
        reader.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"y", "{name}");
    }
}

#[test]
fn readiness_reports_data_and_ends_and_forgets_what_was_removed() {
    use fanfare_sys::{Interest, Readiness};
    let (server, mut client) = pair();
    let mut readiness = Readiness::new(8).unwrap();
    readiness.add(server.as_raw_fd(), 42, Interest::READ).unwrap();
    let mut ready = Vec::new();
    readiness.poll(&mut ready);
    assert_eq!(ready, []);
    client.write_all(b"x").unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while ready.is_empty() && std::time::Instant::now() < deadline {
        readiness.poll(&mut ready);
    }
    assert!(ready[0].token == 42 && ready[0].readable && !ready[0].writable);
    readiness.change(server.as_raw_fd(), 43, Interest { readable: false, writable: true }).unwrap();
    ready.clear();
    readiness.poll(&mut ready);
    assert!(ready[0].token == 43 && ready[0].writable && !ready[0].readable);
    readiness.remove(server.as_raw_fd()).unwrap();
    ready.clear();
    readiness.poll(&mut ready);
    assert_eq!(ready, []);
}
