//! What somebody meant who wrote a command that does not exist.

const COMMANDS: [&str; 9] =
    ["auth", "join", "leave", "publish", "ack", "history", "presence", "heartbeat", "refresh"];

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
    let compared = &written.as_bytes()[..written.len().min(COMPARED_BYTES_MAX)];
    let compared = compared.to_ascii_lowercase();
    let words = COMMANDS.iter().map(|name| (*name, *name)).chain(OTHER_WORDS);
    let nearest = words.min_by_key(|(word, _)| distance(word.as_bytes(), &compared));
    nearest.map_or("publish", |(_, command)| command)
}

/// How many letters to insert, drop or replace to make one of the other (Levenshtein).
fn distance(word: &[u8], other: &[u8]) -> usize {
    debug_assert!(other.len() <= COMPARED_BYTES_MAX);
    let mut row = [0; COMPARED_BYTES_MAX + 1];
    for (column, cell) in row.iter_mut().enumerate() {
        *cell = column;
    }
    for (line, letter) in word.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, against) in other.iter().enumerate() {
            let above = row[column + 1];
            row[column + 1] = (diagonal + usize::from(letter != against)).min(above + 1).min(row[column] + 1);
            diagonal = above;
        }
    }
    row[other.len()]
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

    #[test]
    fn distances() {
        assert_eq!(distance(b"join", b"join"), 0);
        assert_eq!(distance(b"join", b""), 4);
        assert_eq!(distance(b"", b"abc"), 3);
        assert_eq!(distance(b"kitten", b"sitting"), 3);
    }
}
