//! What somebody meant who wrote a command that does not exist.

const COMMANDS: [&str; 10] = [
    "auth",
    "join",
    "leave",
    "publish",
    "ack",
    "history",
    "presence",
    "heartbeat",
    "heartbeat_pong",
    "refresh",
];

/// Other systems' words for ours.
const OTHER_WORDS: [(&str, &str); 14] = [
    ("authenticate", "auth"),
    ("broadcast", "publish"),
    ("connect", "auth"),
    ("connection_init", "auth"),
    ("emit", "publish"),
    ("event", "publish"),
    ("login", "auth"),
    ("members", "presence"),
    ("message", "publish"),
    ("ping", "heartbeat"),
    ("send", "publish"),
    ("subscribe", "join"),
    ("unsubscribe", "leave"),
    ("who", "presence"),
];

/// Longest text that is compared, in bytes. All commands are shorter.
const COMPARED_BYTES_MAX: usize = 32;

/// A sentence that names the nearest command. It does not repeat what was written.
pub(crate) fn unknown_command(written: &str) -> String {
    let nearest = nearest(written);
    format!(
        "`type` is not a command of this protocol; did you mean `{nearest}`? There are: {}",
        COMMANDS.join(", ")
    )
}

fn nearest(written: &str) -> &'static str {
    let written = written.trim();
    let compared = written[..written.floor_char_boundary(COMPARED_BYTES_MAX)].to_ascii_lowercase();
    let words = COMMANDS.iter().map(|name| (*name, *name)).chain(OTHER_WORDS);
    let nearest = words.min_by_key(|(word, _)| strsim::levenshtein(word, &compared));
    nearest.map_or("publish", |(_, command)| command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_and_other_systems_words_find_the_command() {
        for (written, meant) in [
            ("publsh", "publish"),
            ("Publish", "publish"),
            ("joni", "join"),
            ("subscribe", "join"),
            ("unsubscribe", "leave"),
            ("ping", "heartbeat"),
            ("heart_beat", "heartbeat"),
        ] {
            assert_eq!(nearest(written), meant, "{written}");
        }
    }

    #[test]
    fn nothing_that_was_written_comes_back() {
        let text = unknown_command("<script>secret</script>");
        assert!(!text.contains("script") && !text.contains("secret"), "{text}");
        assert!(!unknown_command(&"ü".repeat(1_000)).contains('ü'));
        assert!(unknown_command("").contains("did you mean"));
    }
}
