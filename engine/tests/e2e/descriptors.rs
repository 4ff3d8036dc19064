//! Out of file descriptors: accepting pauses and recovers, and who is connected does not notice.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Client, Options, Raw, Server, eventually, token};

#[test]
fn out_of_descriptors_nobody_connected_notices_and_later_ones_get_in() {
    for driver in ["uring", "epoll"] {
        let server =
            Server::start(Options { driver, shards: 1, descriptors: Some(64), ..Options::default() });
        let mut member = Client::join_server(&server, "ada", "user");
        member.join("room:1");
        let before = server.descriptors();
        let flood: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(&server.address).unwrap()).collect();
        eventually("the descriptors run out", || server.log().contains("cannot accept").then_some(()));
        for n in 1..=20 {
            assert_eq!(member.publish("room:1", json!(n)), n);
        }
        drop(flood);
        let mut late = eventually("somebody new gets in", || {
            let token = token("bob", "user", json!({}));
            let headers = [("authorization", format!("Bearer {token}"))];
            let headers: Vec<(&str, &str)> =
                headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            Client::connect(&server, "/v1/ws", &headers).ok()
        });
        late.expect("welcome");
        late.join("room:1");
        drop(late);
        eventually("no descriptor is lost", || (server.descriptors() <= before).then_some(()));
        assert_eq!(server.metric("fanfare_panics_total"), 0.0);
    }
}

#[test]
fn while_full_it_hardly_works_and_soon_after_it_accepts_again() {
    // Of a core; a build with debug assertions publishes as well meanwhile. Not to wait would take all of one.
    const CPU_WHILE_FULL: f64 = 0.2;
    const RESUMES: Duration = Duration::from_secs(1);
    for driver in ["uring", "epoll"] {
        // Handshakes that never come would make place again.
        let config = "[limits]\ncommands_per_minute = 0\n[timeouts]\nhandshake = \"60s\"\n".to_owned();
        let server = Server::start(Options { driver, config, descriptors: Some(512), ..Options::default() });
        let mut member = Client::join_server(&server, "ada", "user");
        member.join("room:1");
        let flood: Vec<TcpStream> =
            (0..2_000).map(|_| TcpStream::connect(&server.address).unwrap()).collect();
        eventually("the descriptors run out", || server.log().contains("cannot accept").then_some(()));
        let (since, cpu) = (Instant::now(), server.cpu());
        let mut number = 0;
        eventually("two seconds", || {
            number += 1;
            assert_eq!(member.publish("room:1", json!(number)), number);
            assert_eq!(server.descriptors(), 512, "not full");
            (since.elapsed() >= Duration::from_secs(2)).then_some(())
        });
        let share = (server.cpu() - cpu).as_secs_f64() / since.elapsed().as_secs_f64();
        let warnings = server.log().lines().filter(|line| line.contains("cannot accept")).count();
        drop(flood);
        let since = Instant::now();
        let late = Raw::connect(&server).upgraded(&token("bob", "user", json!({})), "");
        let resumed = since.elapsed();
        eprintln!("{driver}: {:.1} % of a core while full, {resumed:?} to the first welcome", share * 100.0);
        assert!(share < CPU_WHILE_FULL, "{share} of a core while full");
        assert!(resumed < RESUMES, "the first one got in after {resumed:?}");
        // One line for each time that it gets full, and each shard finds out by itself.
        assert!(warnings <= 2, "{warnings} warnings");
        drop(late);
    }
}
