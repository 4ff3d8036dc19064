//! What the server says of its own API, held against what it does.

use std::process::Command;

use serde_json::{Value, json};

use crate::conformance::{script, setup, succeeds, target};
use crate::support::{Client, Server, request, token};

/// Rooms of every kind, and everything on that has paths.
const CONFIG: &str = r#"
[inspector]
enabled = true
[[room_type]]
name = "club"
create = ["*"]
presence = true
"#;

/// Installs a package of Node's once; nothing where there is no npm and nobody insists.
pub(crate) fn npm(name: &str, version: &str) -> Option<std::path::PathBuf> {
    // Each has a folder of its own: installing one takes away what another brought.
    let folder = target().join("node").join(name.replace(['@', '/'], "_"));
    let library = folder.join("node_modules").join(name);
    if !library.exists() {
        let install = Command::new("npm")
            .args([
                "install",
                "--silent",
                "--no-audit",
                "--no-fund",
                &format!("{name}@{version}"),
                "--prefix",
            ])
            .arg(&folder)
            .status();
        if !install.is_ok_and(|status| status.success()) {
            assert!(std::env::var_os("CI").is_none(), "npm is needed: apt install npm");
            eprintln!("SKIPPED: npm is not here");
            return None;
        }
    }
    Some(library)
}

/// JSON Schema cannot say how many bytes a value may take: where that is bounded, good values may be refused.
fn settings(document: &Value) -> String {
    let operations = document["paths"].as_object().unwrap().values();
    let operations = operations.flat_map(|path| path.as_object().unwrap().values());
    let bounded = operations.filter(|of| of["requestBody"].to_string().contains("x-max-bytes"));
    let name = |of: &Value| format!("{:?}", of["operationId"].as_str().unwrap());
    let setting = |of| {
        format!(
            "[[operations]]\ninclude-operation-id = {}\n[operations.checks.positive_data_acceptance]\nenabled = false\n",
            name(of)
        )
    };
    // Of an array of messages the good ones are published and the others refused, each on its own; where all are on behalf
    // of somebody else than the token's user, that is a 400.
    let of_publish = "[[operations]]\ninclude-operation-id = \"publish\"\n\
                      [operations.checks.negative_data_rejection]\nexpected-statuses = [\"4xx\", \"5xx\", 207]\n\
                      [operations.checks.positive_data_acceptance]\nexpected-statuses = [\"2xx\", 400, 403, \"5xx\"]\n";
    bounded.map(setting).chain([of_publish.to_owned()]).collect()
}

#[test]
fn http_does_what_its_description_says() {
    let (code, told) = setup();
    assert!([0, 3].contains(&code), "{told}");
    let server = Server::with(CONFIG);
    let bearer = format!("Authorization: Bearer {}", token("operator", "admin", json!({})));
    let given = |name: &str, usual: &str| std::env::var(name).unwrap_or_else(|_| usual.to_owned());
    // The same examples each time, so that a change is what makes it fail; others are asked for by hand.
    let (examples, seed) = (given("FANFARE_EXAMPLES", "10"), given("FANFARE_SEED", "1"));
    let config = target().join("schemathesis.toml");
    std::fs::write(&config, settings(&request(&server, "GET", "/v1/openapi.json", &[], "").json())).unwrap();
    let mut suite = Command::new(target().join("venv/bin/schemathesis"));
    suite.args([
        "--config-file",
        config.to_str().unwrap(),
        "run",
        &format!("http://{}/v1/openapi.json", server.address),
        "--header",
        &bearer,
    ]);
    suite.args(["--max-examples", &examples, "--seed", &seed, "--no-color"]);
    suite.args(["--phases", "examples,coverage,fuzzing"]);
    // What an operator does would shut the others out: it has a server of its own.
    suite.args(["--exclude-path-regex", "^/v1/admin/"]);
    succeeds(suite.current_dir(target()));
    assert_eq!(server.metric("fanfare_panics_total"), 0.0);
}

#[test]
fn what_an_operator_does_is_what_the_description_says() {
    let (code, told) = setup();
    assert!([0, 3].contains(&code), "{told}");
    // A key, which no ban and no revocation shuts out.
    let (key, sha256) = ("secret", "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b");
    let server = Server::with(&format!("[[auth.api_key]]\nname = \"backend\"\nsha256 = \"{sha256}\"\n"));
    let mut suite = Command::new(target().join("venv/bin/schemathesis"));
    let bearer = format!("Authorization: Bearer {key}");
    suite.args(["run", &format!("http://{}/v1/openapi.json", server.address), "--header", &bearer]);
    suite.args(["--max-examples", "10", "--seed", "1", "--no-color"]);
    suite.args(["--phases", "examples,coverage,fuzzing"]);
    // That two members exclude each other is told in words only.
    suite.args(["--exclude-checks", "positive_data_acceptance"]);
    // Not the end of the server.
    suite.args(["--include-path-regex", "^/v1/admin/", "--exclude-path-regex", "/drain$"]);
    succeeds(suite.current_dir(target()));
    assert_eq!(server.metric("fanfare_panics_total"), 0.0);
}

#[test]
fn messages_are_described_by_a_valid_document() {
    let server = Server::with(CONFIG);
    let Some(parser) = npm("@asyncapi/parser", "3.6.3") else { return };
    let url = format!("http://{}/v1/asyncapi.json", server.address);
    succeeds(Command::new("node").arg(script("asyncapi.js")).arg(url).arg(parser));
}

#[test]
fn every_reserved_answer_and_command_is_in_the_description() {
    let server = Server::with(CONFIG);
    let document = request(&server, "GET", "/v1/asyncapi.json", &[], "").json();
    let messages = &document["components"]["messages"];
    let mut client = Client::join_server(&server, "ada", "user");
    for (command, answer) in [
        (json!({"type": "join", "room": "a"}), "joined"),
        (json!({"type": "publish", "room": "a", "event": "say"}), "published"),
        (json!({"type": "history", "room": "a"}), "history_reply"),
        (json!({"type": "presence", "room": "a"}), "presence_reply"),
        (json!({"type": "heartbeat"}), "heartbeat_ack"),
        (json!({"type": "nothing"}), "error"),
        (json!({"type": "leave", "room": "a"}), "left"),
        (json!({"type": "poll.list", "room": "a"}), "poll_list_ok"),
    ] {
        let told = client.ask(command);
        let required = messages[answer]["payload"]["required"].as_array().unwrap();
        for member in required {
            assert!(told.get(member.as_str().unwrap()).is_some(), "{answer} lacks {member}: {told}");
        }
    }
}
