//! `fanfare tail` against a running server.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::with;
use crate::support::{Client, eventually};

#[test]
fn the_command_prints_one_line_for_each_record() {
    let server = with("payloads = true\n");
    let url = format!("http://{}", server.address);
    let fanfare = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare"));
        command.args(["tail", "--url", &url]).args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let mut people =
        fanfare(&["--room", "chat:*", "--type", "say", "--kind", "messages,errors"]).spawn().unwrap();
    let mut machines = fanfare(&["--json", "--kind", "messages"]).spawn().unwrap();
    eventually("both watch", || (server.metric("fanfare_inspector_tails") == 2.0).then_some(()));
    let mut client = Client::join_server(&server, "ada", "user");
    client.publish("other:1", json!(0));
    client.publish("chat:1", json!({"x": 1}));
    let lines = |child: &mut std::process::Child| {
        std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap())).map(Result::unwrap)
    };
    let line = lines(&mut people).next().unwrap();
    assert!(
        line.contains("message say              chat:1 #1") && line.contains("user=ada 7 bytes to 0"),
        "{line}"
    );
    assert!(line.ends_with("{\"x\":1}") && !line.contains('\u{1b}'), "{line}");
    let records: Vec<Value> =
        lines(&mut machines).take(2).map(|line| serde_json::from_str(&line).unwrap()).collect();
    assert_eq!((&records[0]["room"], &records[1]["data"]), (&json!("other:1"), &json!({"x": 1})));
    for mut child in [people, machines] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let refused = fanfare(&["--token", "nonsense"]).output().unwrap();
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(1), 0));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("JWT"), "{refused:?}");
    let nowhere =
        Command::new(env!("CARGO_BIN_EXE_fanfare")).args(["tail", "--url", "https://x"]).output().unwrap();
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("no TLS"), "{nowhere:?}");
}
