//! The end: everybody is told, nothing that was accepted is lost, the exit code is 0.

use serde_json::json;

use crate::support::{Client, Ended, Options, Raw, Server, deployments, eventually, request};

#[test]
fn a_signal_says_goodbye_to_everyone_and_exits_with_0() {
    for options in deployments() {
        let mut server = Server::start(options);
        let mut clients: Vec<Client> = (0..8).map(|_| Client::join_server(&server, "m", "user")).collect();
        clients.iter_mut().for_each(|client| drop(client.join("room:1")));
        clients[0].publish("room:1", json!("last words"));
        server.signal("TERM");
        for client in &mut clients {
            let (messages, ended) = client.end();
            assert_eq!(ended, Ended::Code(1012), "{messages:?}");
        }
        assert!(server.ended().success());
    }
}

#[test]
fn readiness_goes_first() {
    let server = Server::start(Options::default());
    assert_eq!(request(&server, "GET", "/readyz", &[], "").status, 200);
    // It never answers the close, so the server lingers.
    let _lingers = Raw::welcomed(&server, "");
    server.signal("INT");
    // Whichever shard is asked.
    let mut refused = 0;
    eventually("not ready", || {
        refused += u32::from(request(&server, "GET", "/readyz", &[], "").status == 503);
        (refused == 20).then_some(())
    });
}

#[test]
fn a_second_signal_ends_at_once() {
    let mut server = Server::start(Options::default());
    let _lingers: Vec<Raw> = (0..3).map(|_| Raw::welcomed(&server, "")).collect();
    server.signal("TERM");
    eventually("it drains", || server.log().contains("draining").then_some(()));
    server.signal("TERM");
    assert!(!server.ended().success() || server.log().contains("drained"));
}

/// Each would have had a half of the clients.
#[test]
fn a_second_server_on_the_same_port_refuses_to_start() {
    let server = Server::start(Options::default());
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_fanfare"));
    let output = command.args(["serve", "--listen", &server.address]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("cannot listen on"), "{text}");
}

#[test]
fn a_server_outlives_the_pipe_that_its_log_goes_into() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare"));
    let mut child = command.args(["--listen", "127.0.0.1:0"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("listening"), "{line}");
    // The reading end is closed now.
    Command::new("kill").arg(child.id().to_string()).status().unwrap();
    let status = eventually("its end", || child.try_wait().unwrap());
    assert!(status.success(), "{status}");
}
