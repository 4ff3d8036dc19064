//! `[[webhook]]` and `[hooks]`: who is told and who is asked.

use super::{Config, parse, problems};

const WEBHOOK: &str = "[[webhook]]\nname = \"orders\"\nurl = \"https://a.example/x?key=hidden\"\n\
    secret = \"0123456789abcdef0123456789abcdef\"\nevents = [\"publish\"]\n";

#[test]
fn webhooks_are_checked_and_their_secrets_never_shown() {
    let config = parse(&format!("{WEBHOOK}message_types = [\"order_*\"]\nbackoff_max = \"2s\"\n")).unwrap();
    let webhook = &config.webhooks[0];
    assert_eq!((&*webhook.name, webhook.attempts, webhook.queue), ("orders", 8, 10_000));
    assert_eq!(webhook.endpoint.origin(), "https://a.example");
    assert!(!format!("{config:?}").contains("0123456789abcdef"));
    let options = config.core_options(2, fanfare_core::Seeds::default());
    assert!(options.watch.messages && options.hooks.is_none());
    let without = format!("{}[inspector]\nenabled = false\n", WEBHOOK.replace("publish", "join"));
    let without = parse(&without).unwrap();
    assert!(
        !without.core_options(2, fanfare_core::Seeds::default()).watch.messages,
        "only where somebody wants them"
    );
    for (text, expected) in [
        (format!("{WEBHOOK}{WEBHOOK}"), "webhook.name: `orders` is there twice"),
        (WEBHOOK.replace("https://a", "http://a"), "webhook.url"),
        (
            WEBHOOK.replace("0123456789abcdef0123456789abcdef", "tiny-tiny"),
            "webhook.secret (line 1): must be at least 32",
        ),
        (WEBHOOK.replace("[\"publish\"]", "[]"), "must name at least one of \"connect\", \"close\""),
        (WEBHOOK.replace("[\"publish\"]", "[\"refuse\"]"), "webhook.events"),
        (format!("{WEBHOOK}rooms = []\n"), "webhook.rooms (line 1): must be 1 to 256 patterns"),
        (format!("{WEBHOOK}backoff_min = \"2m\"\n"), "webhook.backoff_min"),
        (format!("{WEBHOOK}queues = 1\n"), "webhook.queues (line 6): unknown key, did you mean `queue`?"),
        ("[[webhook]]\nevents = [\"join\"]\n".to_owned(), "`url` and a secret are required"),
    ] {
        let told = problems(&text);
        assert!(told.contains(expected), "{text}\n{told}");
        assert!(!told.contains("0123456789abcdef") && !told.contains("tiny-tiny"), "{told}");
    }
}

#[test]
fn hooks_are_off_until_they_are_given_and_deny_unless_told_otherwise() {
    assert_eq!(parse("").unwrap().hooks, None);
    let hooks = "[hooks]\nurl = \"http://127.0.0.1:1/ask\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n\
        ask = [\"join\", \"publish\"]\nqueue = 10\n";
    let config = parse(hooks).unwrap();
    let of_core = config.core_options(4, fanfare_core::Seeds::default()).hooks.unwrap();
    assert!(of_core.join && of_core.publish && !of_core.connect && !of_core.allow_unanswered);
    assert_eq!((of_core.timeout_ms, of_core.waiting_max), (1_000, 2), "shared by the shards");
    assert!(parse(&format!("{hooks}on_failure = \"allow\"\n")).unwrap().hooks.unwrap().allow_unanswered);
    for (text, expected) in [
        ("[hooks]\nask = [\"join\"]".to_owned(), "hooks.url"),
        ("[hooks]\nurl = \"https://a.example\"".to_owned(), "hooks.secret"),
        (hooks.replace("\"join\", ", "\"leave\", "), "hooks.ask"),
        (format!("{hooks}on_failure = \"maybe\"\n"), "hooks.on_failure"),
        (format!("{hooks}timeout = \"1h\"\n"), "hooks.timeout"),
        (format!("{hooks}attempts = 2\n"), "hooks.attempts (line 6): unknown key"),
    ] {
        let told = problems(&text);
        assert!(told.contains(expected), "{text}\n{told}");
    }
    let env = |name: &str| match name {
        "FANFARE_HOOKS_URL" => Some("https://a.example/ask".to_owned()),
        "FANFARE_HOOKS_SECRET" => Some("0123456789abcdef0123456789abcdef".to_owned()),
        "FANFARE_HOOKS_ASK" => Some("connect".to_owned()),
        _ => None,
    };
    assert!(Config::parse("", &|_| None, &env).unwrap().hooks.unwrap().connect);
}
