mod backends;

use fanfare_core::{
    Application, CompressionMode, Delivery, Devices, Permission, Permissions, QueueRule, Rate, RatePer,
    RoomPattern, Sanitize,
};

use super::*;

fn parse(text: &str) -> Result<Config, StartError> {
    Config::parse(text, &|_| None, &|_| None)
}

/// The problems of a configuration, one a line.
fn problems(text: &str) -> String {
    parse(text).expect_err("the configuration is wrong").to_string()
}

#[test]
fn the_example_says_the_defaults() {
    let example = include_str!("../../fanfare.example.toml");
    let example = parse(example).unwrap_or_else(|error| panic!("{error}"));
    let mut defaults = parse("").unwrap();
    defaults.audit.config_sha256.clone_from(&example.audit.config_sha256);
    defaults.given.clone_from(&example.given);
    assert_eq!(format!("{example:?}"), format!("{defaults:?}"));
    assert!(defaults.development);
}

#[test]
fn the_example_is_right_with_its_comments_taken_away() {
    let example = include_str!("../../fanfare.example.toml");
    let mut text = String::new();
    let mut inside = false;
    for line in example.lines() {
        inside = inside && line.starts_with('#') || line.starts_with("# [[");
        let keys = format!("{}/tests/keys", env!("CARGO_MANIFEST_DIR"));
        let line = line.replace("/run/secrets/jwt", &format!("{keys}/rsa.pem"));
        let line = line.replace("/etc/fanfare/idp.pub.pem", &format!("{keys}/ec.pub.pem"));
        let line = line.replace("/run/secrets/audit", &format!("{keys}/rsa.pem"));
        let line = line.replace("/run/secrets/webhook", &format!("{keys}/rsa.pem"));
        let line = line.replace("\"…\"", &format!("\"{}\"", "0f".repeat(32)));
        text += if inside { line.trim_start_matches('#').trim_start() } else { &line };
        text += "\n";
    }
    let config = parse(&text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((config.auth.keys.len(), config.auth.api_keys.len()), (2, 1));
    let of_services = fanfare_core::service::room_types().len();
    assert_eq!(config.room_types.len(), 1 + of_services);
    assert_eq!(config.webhooks.len(), 1);
    assert!(!config.development);
}

#[test]
fn a_room_type_may_be_compressed_in_another_way_than_the_others() {
    let config = parse(
        r#"
        [compression]
        mode = "alone"
        level = 4
        reset = 10
        [[room_type]]
        name = "progress"
        compression = "shared"
        compression_reset = 20
        "#,
    )
    .unwrap();
    let (default, progress) = (config.default_room_type.compression, config.room_types[0].compression);
    assert_eq!((default.mode, default.level, default.reset_every), (CompressionMode::Alone, 4, 10));
    assert_eq!((progress.mode, progress.level, progress.reset_every), (CompressionMode::Shared, 4, 20));
    for (text, field) in [
        ("[compression]\nmode = \"together\"", "compression.mode"),
        ("[compression]\nreset = 0", "compression.reset"),
        ("[compression]\nshared_threshold = \"1 GiB\"", "compression.shared_threshold"),
        ("[[room_type]]\nname = \"a\"\ncompression_level = 10", "compression_level"),
        ("[limits]\ncompressors = -1", "limits.compressors"),
    ] {
        let told = problems(text);
        assert!(told.contains(field), "{text}: {told}");
    }
}

#[test]
fn a_room_type_says_how_messages_are_delivered_and_kept() {
    let config = parse(
        r#"
        [store]
        path = "x.redb"
        [inbox]
        queue = { size = 5 }
        devices = "each"
        [[room_type]]
        name = "task"
        delivery = "at_least_once"
        ack_wait = "5s"
        durable = true
        [[room_type]]
        name = "note"
        queue = { size = 7, ttl = "1m" }
        "#,
    )
    .unwrap_or_else(|error| panic!("{error}"));
    // Those of services and of the live page come after them.
    let [task, note, ..] = &config.room_types[..] else { panic!() };
    assert_eq!(task.delivery, Delivery::AtLeastOnce { ack_wait_ms: 5_000, max_deliver: 3 });
    assert_eq!((task.queue, task.durable), (QueueRule::USUAL, true));
    assert_eq!((note.delivery, note.queue), (Delivery::AtMostOnce, QueueRule { size: 7, ttl_ms: 60_000 }));
    assert_eq!((config.inbox.queue.size, config.inbox.devices), (5, Devices::Each));
    assert_eq!(config.default_room_type.queue, QueueRule::NONE);
    for (text, expected) in [
        (
            "[[room_type]]\nname = \"a\"\ndurable = true",
            "store.path: is required, because rooms of the type `a`",
        ),
        ("[inbox]\ndurable = true", "store.path: is required"),
        ("[inbox]\ndelivery = \"twice\"", "inbox.delivery (line 2): must be one of"),
        ("[inbox]\nmax_deliver = 0", "inbox.max_deliver (line 2): must be a whole number from 1 to 100"),
        ("[inbox]\nhistory = { size = 1 }", "inbox.history (line 2): unknown key"),
        ("[inbox]\nqueue = { length = 1 }", "inbox.queue.length (line 2): unknown key"),
        ("[store]\npth = \"x\"", "store.pth (line 2): unknown key, did you mean `path`?"),
    ] {
        let told = problems(text);
        assert!(told.contains(expected), "{text}\n{told}");
    }
}

#[test]
fn all_problems_are_told_with_their_lines() {
    let told = problems(
        "shards = 65\n[limits]\nconections = 5\nburst = 0\nmessage_size = \"1MB\"\n[timeouts]\ndrain = 30\n[colour]\nx = 1\n",
    );
    for expected in [
        "5 problem(s)",
        "shards (line 1): must be a whole number from 0 to 64",
        "limits.conections (line 3): unknown key, did you mean `connections`?",
        "limits.burst (line 4): must be a whole number",
        "limits.message_size (line 5): must be a size",
        "timeouts.drain (line 7): must be a duration",
    ] {
        assert!(expected == "5 problem(s)" || told.contains(expected), "{expected}\n{told}");
    }
    assert!(told.contains("6 problem(s)") && told.contains("colour (line 8): unknown key"), "{told}");
    assert!(problems("listen = \n").contains("line 1: this is not TOML"));
    assert!(problems("limits = 5").contains("must be a table"));
    assert!(problems("[auth]\nkey = 5").contains("[[auth.key]]"));
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let text = "listen = \"127.0.0.1:1\"\nshards = 1\n[limits]\nburst = 1\n";
    let flag = |name: &str| (name == "listen").then(|| "127.0.0.1:3".to_owned());
    let env = |name: &str| match name {
        "FANFARE_LISTEN" => Some("127.0.0.1:2".to_owned()),
        "FANFARE_SHARDS" => Some("2".to_owned()),
        "FANFARE_LIMITS_BACKLOG" => Some("2MiB".to_owned()),
        "FANFARE_AUTH_API_ROLES" => Some("ops, backend".to_owned()),
        _ => None,
    };
    let config = Config::parse(text, &flag, &env).unwrap();
    assert_eq!(config.listen.port(), 3);
    assert_eq!((config.shards, config.limits.burst, config.limits.backlog), (2, 1, 2 << 20));
    assert_eq!(config.auth.api_roles, ["ops", "backend"]);
    let error =
        Config::parse("", &|_| None, &|name| (name == "FANFARE_SHARDS").then(|| "many".into())).unwrap_err();
    assert_eq!(error.problems[0].place, "FANFARE_SHARDS");
}

#[test]
fn nobody_listens_openly_without_a_secret() {
    assert!(problems("listen = \"0.0.0.0:8080\"").contains("development secret"));
    let secret = "[[auth.key]]\nalgorithm = \"HS256\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n";
    assert!(parse(&format!("listen = \"0.0.0.0:8080\"\n{secret}")).is_ok());
    let env =
        |name: &str| (name == "FANFARE_AUTH_SECRET").then(|| "0123456789abcdef0123456789abcdef".to_owned());
    assert!(!Config::parse("listen = \"[::]:8080\"", &|_| None, &env).unwrap().development);
    let short = |name: &str| (name == "FANFARE_AUTH_SECRET").then(|| "short-secret".to_owned());
    let told = Config::parse("", &|_| None, &short).unwrap_err().to_string();
    assert!(
        told.contains("FANFARE_AUTH_SECRET") && told.contains("32 bytes") && !told.contains("short-secret")
    );
}

#[test]
fn keys_are_checked_and_never_shown() {
    let keys = format!("{}/tests/keys", env!("CARGO_MANIFEST_DIR"));
    for (entry, expected) in [
        ("algorithm = \"none\"\nsecret = \"0123456789abcdef0123456789abcdef\"".to_owned(), "must be one of"),
        ("algorithm = \"HS256\"\nsecret = \"tiny-tiny\"".to_owned(), "32 bytes"),
        (
            format!("algorithm = \"HS256\"\nsecret = \"{}\"", fanfare_protocol::DEVELOPMENT_SECRET),
            "everybody knows",
        ),
        ("algorithm = \"HS256\"\npublic_key_file = \"x\"".to_owned(), "exactly one of"),
        (
            "algorithm = \"ES256\"\nsecret = \"0123456789abcdef0123456789abcdef\"".to_owned(),
            "public_key_file",
        ),
        ("algorithm = \"ES256\"\npublic_key_file = \"/nowhere\"".to_owned(), "cannot be read"),
        (format!("algorithm = \"RS256\"\npublic_key_file = \"{keys}/ec.pub.pem\""), "fits RS256"),
        (format!("algorithm = \"EdDSA\"\npublic_key_file = \"{keys}/rsa.pub.pem\""), "fits EdDSA"),
        (format!("algorithm = \"ES256\"\npublic_key_file = \"{keys}/ec.pem\""), "public key"),
        ("secret = \"0123456789abcdef0123456789abcdef\"".to_owned(), "algorithm (line 1): is required"),
    ] {
        let told = problems(&format!("[[auth.key]]\n{entry}\n"));
        assert!(told.contains(expected), "{entry}\n{told}");
        assert!(!told.contains("0123456789abcdef") && !told.contains("tiny-tiny"), "{told}");
    }
    let config =
        parse("[[auth.key]]\nalgorithm = \"HS256\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n")
            .unwrap();
    assert!(!format!("{config:?}").contains("0123456789abcdef"));
}

#[test]
fn origins_and_api_keys_and_room_types_are_checked() {
    for wrong in
        ["app.example", "https://app.example/", "https://app.example/path", "https://a@app.example", "*"]
    {
        assert!(
            problems(&format!("[auth]\nallowed_origins = [\"{wrong}\"]")).contains("scheme://host"),
            "{wrong}"
        );
    }
    assert!(problems("[[auth.api_key]]\nname = \"a\"\nsha256 = \"abc\"").contains("SHA-256"));
    assert!(problems("[[auth.api_key]]\nsha256 = \"abc\"").contains("name"));
    assert!(problems("[[room_type]]\nname = \"a:b\"").contains("before the `:`"));
    assert!(problems("[[room_type]]\nname = \"a\"\n[[room_type]]\nname = \"a\"").contains("twice"));
    assert!(problems("[[room_type]]\nname = \"a\"\njoyn = []").contains("did you mean `join`?"));
    let config = parse("[[room_type]]\nname = \"default\"\npublish = [\"admin\"]").unwrap();
    assert_eq!(config.default_room_type.publish, ["admin"]);
    assert_eq!(config.room_types.len(), 1 + fanfare_core::service::room_types().len());
    assert!(problems("[limits]\nmessage_size = \"1MiB\"\nbacklog = \"1MiB\"").contains("twice message_size"));
}

#[test]
fn the_audit_has_a_place_and_a_key_or_neither() {
    let keys = format!("{}/tests/keys", env!("CARGO_MANIFEST_DIR"));
    for (text, expected) in [
        ("publishes = true", "audit.path (line 1): is required"),
        ("on_full = \"refuse\"", "audit.path (line 1): is required"),
        ("on_full = \"wait\"", "audit.on_full (line 2): must be one of"),
        ("path = \"audit.1.jsonl\"", "must not end in a number"),
        ("path = \"a\"\nkey_file = \"/nowhere\"", "audit.key_file (line 1): `/nowhere` cannot be read"),
        ("queue = 1", "audit.queue (line 2): must be a whole number from 16"),
        ("rotate_size = 1", "audit.rotate_size (line 2): must be a size"),
    ] {
        let told = problems(&format!("[audit]\n{text}"));
        assert!(told.contains(expected), "{text}\n{told}");
    }
    let short = std::env::temp_dir().join(format!("fanfare-short-{}.key", std::process::id()));
    std::fs::write(&short, "too short").unwrap();
    let told = problems(&format!("[audit]\npath = \"a\"\nkey_file = \"{}\"", short.display()));
    std::fs::remove_file(&short).unwrap();
    assert!(told.contains("at least 32 bytes") && !told.contains("too short"), "{told}");
    let config =
        parse(&format!("[audit]\npath = \"audit.jsonl\"\nkey_file = \"{keys}/rsa.pem\"\npublishes = true"))
            .unwrap();
    assert!(!format!("{config:?}").contains("PRIVATE"));
    let watch = config.core_options(1, fanfare_core::Seeds::default()).watch;
    assert!(watch.messages && watch.refusals && watch.history);
    let nobody = parse("[inspector]\nenabled = false").unwrap();
    assert_eq!(nobody.core_options(1, fanfare_core::Seeds::default()).watch, fanfare_core::Watch::default());
}

#[test]
fn the_inspector_is_on_in_development_mode_only_unless_somebody_says_so() {
    let secret = "[[auth.key]]\nalgorithm = \"HS256\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n";
    for (text, enabled) in [
        (String::new(), true),
        (secret.to_owned(), false),
        (format!("{secret}[inspector]\nenabled = true"), true),
    ] {
        let config = parse(&text).unwrap();
        let watch = config.core_options(1, fanfare_core::Seeds::default()).watch;
        assert_eq!((config.inspector.enabled, watch.messages, watch.refusals), (enabled, enabled, enabled));
        assert!(!config.inspector.payloads);
    }
    for (text, field) in [("rooms = 0", "inspector.rooms"), ("messages = 100001", "inspector.messages")] {
        assert!(problems(&format!("[inspector]\n{text}")).contains(field));
    }
}

#[test]
fn rates_roles_and_characters_are_read() {
    let config = parse(
        r#"
        [heartbeat]
        application = "all"
        slow = "250ms"
        [inbox]
        sanitize = "strip"
        [[room_type]]
        name = "chat"
        sanitize = "refuse"
        [[role]]
        name = "display"
        not_receive = ["emergency_*"]
        [[role]]
        name = "deaf"
        permissions = ["join"]
        receive = []
        [[rate]]
        type = "publish:technique_*"
        per = "user"
        per_minute = 60
        burst = 3
        roles = ["user"]
        [[rate]]
        type = "chat.*"
        per_minute = 5
        "#,
    )
    .unwrap();
    assert_eq!(config.heartbeat.application, Application::All);
    assert_eq!((config.inbox.sanitize, config.room_types[0].sanitize), (Sanitize::Strip, Sanitize::Refuse));
    let [display, deaf] = &config.roles[..] else { panic!("two roles") };
    assert_eq!((display.permissions, &display.receive.only), (Permissions::USUAL, &None));
    assert_eq!(display.receive.never[0].as_str(), "emergency_*");
    assert_eq!(deaf.receive.only, Some(Vec::new()));
    assert!(!deaf.permissions.has(Permission::Publish));
    let [technique, chat] = &config.rates[..] else { panic!("two rules") };
    assert_eq!((technique.per, technique.rate), (RatePer::User, Rate { per_minute: 60, burst: 3 }));
    assert_eq!((technique.command.as_str(), &technique.roles[..]), ("publish", &["user".to_owned()][..]));
    assert_eq!(technique.event.as_ref().map(RoomPattern::as_str), Some("technique_*"));
    assert_eq!((chat.command.as_str(), chat.per, chat.rate.burst), ("chat.*", RatePer::Connection, 10));
    let many = "[[rate]]\ntype = \"join\"\nper_minute = 1\n".repeat(33);
    for (text, field) in [
        ("[heartbeat]\napplication = \"some\"", "heartbeat.application"),
        ("[[rate]]\nper_minute = 1", "rate.type"),
        ("[[rate]]\ntype = \"join:x\"\nper_minute = 1", "rate.type"),
        ("[[rate]]\ntype = \"publish:\"\nper_minute = 1", "rate.type"),
        ("[[rate]]\ntype = \"join room\"\nper_minute = 1", "rate.type"),
        ("[[rate]]\ntype = \"join\"", "rate.per_minute"),
        ("[[rate]]\ntype = \"join\"\nper_minute = 1\nper = \"room\"", "rate.per"),
        (&many, "at most 32"),
        ("[[role]]\nname = \"a\"\nreceive = [\"\"]", "role.receive"),
        ("[[room_type]]\nname = \"a\"\nsanitize = \"maybe\"", "room_type.sanitize"),
        ("[[room_type]]\nname = \"a\"\nprivate = true", "room_type.private"),
        ("[[room_type]]\nname = \"a\"\ncreated_only = true", "room_type.created_only"),
        ("[limits]\nended_connections = -1", "limits.ended_connections"),
    ] {
        let told = problems(text);
        assert!(told.contains(field), "{text}: {told}");
    }
}
