//! `fanfare admin …` against a running server.

use std::process::Command;

use serde_json::{Value, json};

use super::ended_soon;
use crate::support::{Client, Ended, Options, Server, eventually, request};

/// Exit code, standard output, standard error.
fn admin(server: &Server, words: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare"));
    command.arg("admin").args(words).args(["--url", &format!("http://{}", server.address)]);
    command.env_remove("FANFARE_TOKEN");
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// What it prints for people; it must be done.
fn done(server: &Server, words: &[&str]) -> String {
    let (code, out, error) = admin(server, words);
    assert_eq!(code, 0, "{words:?}: {error}");
    out
}

fn json_of(server: &Server, words: &[&str]) -> Value {
    let out = done(server, &[words, &["--json"]].concat());
    serde_json::from_str(&out).unwrap_or_else(|_| panic!("{words:?}: {out}"))
}

#[test]
fn nobodys_name_looks_like_something_else() {
    let server = Server::start(Options::default());
    let name = "eve  admin\u{202e}=x";
    let _eve = Client::join_server(&server, name, "user");
    let listed = done(&server, &["connections"]);
    assert!(listed.contains("\"eve  admin\\u{202e}=x\"") && !listed.contains('\u{202e}'), "{listed}");
    done(&server, &["ban", "--client", "c", "--reason", "x  for good\u{200b}"]);
    let listed = done(&server, &["bans"]);
    assert!(listed.contains("\"x  for good\\u{200b}\""), "{listed}");
}

#[test]
fn every_word_does_what_it_says() {
    let server =
        Server::start(Options { shards: 2, config: "[limits]\nburst = 7\n".into(), ..Options::default() });
    let mut ada = Client::join_server(&server, "ada", "user");
    ada.join("chat:1");
    let mut eve = Client::join_server(&server, "eve", "user");
    assert!(done(&server, &["connections"]).contains("ada"));
    assert!(!done(&server, &["connections", "--user", "eve"]).contains("ada"));
    assert!(done(&server, &["rooms"]).contains("chat:1"));
    let top = done(&server, &["top"]);
    assert!(top.contains("chat:1") && top.contains("2 connections"), "{top}");
    assert!(json_of(&server, &["top"])["statistics"]["connections"] == 2);

    assert_eq!(done(&server, &["disconnect", "--all", "--dry-run"]), "would end 2 connections\n");
    assert_eq!(
        done(&server, &["ban", "--user", "eve", "--for", "1h", "--reason", "spam"]),
        "banned user eve; ended 1 connection\n"
    );
    assert_eq!(ended_soon(&mut eve).0, Ended::Code(4011));
    let bans = done(&server, &["bans"]);
    assert!(bans.contains("user_id eve") && bans.contains("spam") && bans.contains("fanfare-cli"), "{bans}");
    assert_eq!(done(&server, &["unban", "--user", "eve"]), "done\n");
    assert_eq!(done(&server, &["unban", "--user", "eve"]), "user eve was not banned\n");
    done(&server, &["ban", "--network", "10.0.0.0/8"]);
    assert_eq!(json_of(&server, &["bans"])["bans"][0]["network"], "10.0.0.0/8");
    done(&server, &["unban", "--network", "10.0.0.0/8"]);

    assert_eq!(json_of(&server, &["revoke", "--user", "ada", "--token-id", "x"]), json!({"connections": 1}));
    assert_eq!(ended_soon(&mut ada).0, Ended::Code(4012));
    assert!(done(&server, &["revocations"]).contains("token_id x"));
    assert_eq!(done(&server, &["restore", "--user", "ada"]), "done\n");
    assert_eq!(done(&server, &["revoke", "--key", "none"]), "revoked; ended 0 connections\n");

    server.reconfigure("shards = 3\n[limits]\nburst = 8\n");
    let plan = done(&server, &["reload", "--dry-run"]);
    assert!(plan.contains("limits.burst") && plan.contains("1 change would take effect"), "{plan}");
    done(&server, &["reload"]);
    // Two shards were asked for on the command line, and that counts.
    assert_eq!(done(&server, &["reload"]), "nothing has changed\n");

    assert!(done(&server, &["mode"]).contains("off"));
    assert_eq!(json_of(&server, &["mode", "--read-only", "on", "--shed", "1"])["shed"], 1);
    assert_eq!(json_of(&server, &["mode", "--read-only", "off", "--shed", "0"])["read_only"], false);

    let mut bob = Client::join_server(&server, "bob", "user");
    bob.join("chat:1");
    assert!(done(&server, &["room", "freeze", "chat:1"]).contains("true"));
    let say = json!({"type": "publish", "room": "chat:1", "event": "say"});
    assert_eq!(bob.ask(say.clone())["type"], "error");
    done(&server, &["room", "unfreeze", "chat:1"]);
    assert_eq!(bob.ask(say)["type"], "published");
    done(&server, &["room", "purge", "chat:1"]);
    done(&server, &["room", "close", "chat:1"]);

    assert!(done(&server, &["drain", "--wait"]).ends_with("drained: 0 connections\n"));
    assert_eq!(request(&server, "GET", "/readyz", &[], "").status, 503);
    assert!(done(&server, &["drain", "--status"]).contains("drained"));
    assert_eq!(done(&server, &["undrain"]), "serving: 0 connections\n");
    assert_eq!(bob.end().1, Ended::Code(1012));
    eventually("it serves again", || {
        (request(&server, "GET", "/readyz", &[], "").status == 200).then_some(())
    });
}

#[test]
fn what_is_not_done_is_told_and_exits_with_1() {
    let server = Server::with("[limits]\nburst = 7\n");
    server.reconfigure("[limits]\nburst = 0\n");
    let (code, _, error) = admin(&server, &["reload"]);
    assert!(code == 1 && error.contains("limits.burst (line 2)"), "{error}");
    let (code, _, error) = admin(&server, &["ban", "--network", "nowhere"]);
    assert!(code == 1 && error.contains("`network`"), "{error}");
    let (code, _, error) = admin(&server, &["mode", "--token", "nonsense"]);
    assert!(code == 1 && error.contains("JWT"), "{error}");
    let (code, _, error) = admin(&server, &["ban"]);
    assert!(code == 2 && error.contains("--user"), "{error}");
    assert_eq!(admin(&server, &["mode", "--shed", "9"]).0, 2);
    let (code, _, error) = admin(&server, &["mode", "--token", "a\nb"]);
    assert_eq!(code, 1, "{error}");
}

#[test]
fn its_help_shows_examples() {
    let output = Command::new(env!("CARGO_BIN_EXE_fanfare")).args(["admin", "--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.contains("fanfare admin ban --user eve --for 1h"), "{help}");
}
