//! What messages are like: JSON of a wanted size, another one for each number.
//!
//! | shape | what it is like |
//! | --- | --- |
//! | text | one string of a few English words |
//! | chat | somebody's name and sentences of common words |
//! | progress | how far an operation has come, and the lines of its log where there is room |
//! | json | a list of records, as an application's schedule |
//! | random | one string of random base64 characters, which hardly shrinks |
//!
//! Messages of a room resemble each other but are not the same, and how much a compressor makes of that is the question:
//! so no two messages near each other are equal, but their keys, their words and their kinds of values are.

use std::fmt::Write;

use serde::Serialize;

use crate::random::Random;

/// What messages are like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// One string of words.
    #[default]
    Text,
    /// A name and sentences.
    Chat,
    /// The state of an operation.
    Progress,
    /// Records with repeating keys.
    Json,
    /// One string that hardly compresses.
    Random,
}

/// Fewest bytes of members: an empty padding.
pub const MEMBERS_MIN: usize = r#""p":"""#.len();

impl Shape {
    /// The members of message `number`, a JSON object without its braces: ASCII of exactly `size` bytes, or of
    /// [`MEMBERS_MIN`] if that is more.
    pub fn members(self, number: u32, size: usize) -> String {
        let mut draft = Draft {
            text: String::with_capacity(size),
            size: size.max(MEMBERS_MIN),
            random: Random::new(0x5eed_0000_0000_0000 | u64::from(number)),
        };
        match self {
            Self::Text | Self::Random => {}
            Self::Chat => draft.chat(),
            Self::Progress => draft.progress(),
            Self::Json => draft.records(),
        }
        draft.text.push_str(r#""p":""#);
        match self {
            Self::Text | Self::Progress | Self::Json => draft.words(),
            Self::Chat => draft.sentences(),
            Self::Random => draft.noise(),
        }
        draft.text.truncate(draft.size - 1);
        draft.text.push('"');
        draft.text
    }
}

/// Members as far as they are written.
struct Draft {
    text: String,
    size: usize,
    random: Random,
}

impl Draft {
    fn one_of(&mut self, of: &[&'static str]) -> &'static str {
        of[self.random.below(of.len() as u32) as usize]
    }

    /// Bytes left for another member and its comma.
    fn free(&self) -> usize {
        (self.size - self.text.len()).saturating_sub(MEMBERS_MIN + 1)
    }

    /// Adds a member where there is room for it.
    fn add(&mut self, member: &str) {
        if member.len() <= self.free() {
            self.text.push_str(member);
            self.text.push(',');
        }
    }

    /// Adds a member with a list of as many values as there is room for; with none it is left out.
    fn add_list(&mut self, name: &str, mut value: impl FnMut(&mut Random) -> String) {
        let mut list = format!("\"{name}\":[");
        let free = self.free();
        loop {
            let next = value(&mut self.random);
            if list.len() + next.len() + 1 > free {
                break;
            }
            list.push_str(&next);
            list.push(',');
        }
        if list.pop() == Some(',') {
            self.add(&(list + "]"));
        }
    }

    fn chat(&mut self) {
        const NAMES: &[&str] = &["Mara", "Jonas", "Aylin", "Tom", "Ifeoma", "Lukas", "Chiara", "Yuki"];
        let name = self.one_of(NAMES);
        self.add(&format!(r#""from":"{name}""#));
    }

    fn progress(&mut self) {
        const STEPS: &[&str] = &["copying", "verifying", "uploading", "indexing", "converting"];
        let (step, done, all) =
            (self.one_of(STEPS), self.random.below(512), 512 + 256 * self.random.below(4));
        let tenths = self.random.below(1_000);
        let operation = 1 + self.random.below(40);
        self.add(r#""type":"progress""#);
        self.add(&format!(r#""operation":"op-{operation}""#));
        self.add(&format!(r#""percent":{}.{}"#, tenths / 10, tenths % 10));
        self.add(&format!(r#""step":"{step} part {done} of {all}""#));
        let eta_s = self.random.below(900);
        self.add(&format!(r#""eta_s":{eta_s}"#));
        let mut line = done;
        self.add_list("log", |random| {
            line += 1;
            let (minute, second, bytes) = (random.below(60), random.below(60), random.below(9_000_000));
            format!(r#""14:{minute:02}:{second:02} {step} part {line} of {all}: {bytes} bytes""#)
        });
    }

    fn records(&mut self) {
        const STATUS: [&str; 5] = ["scheduled", "in_progress", "delayed", "completed", "cancelled"];
        const ROOM: [&str; 4] = ["theatre-1", "theatre-2", "imaging-3", "recovery-4"];
        self.add_list("items", |random| {
            format!(
                r#"{{"id":{},"room":"{}","status":"{}","starts_at":"2026-11-{:02}T{:02}:{:02}:00Z","minutes":{}}}"#,
                10_000 + random.below(90_000),
                ROOM[random.below(4) as usize],
                STATUS[random.below(5) as usize],
                1 + random.below(30),
                random.below(24),
                random.below(60),
                5 * (1 + random.below(48))
            )
        });
    }

    /// Words up to the end or a little beyond.
    fn words(&mut self) {
        const WORDS: [&str; 24] = [
            "the",
            "patient",
            "is",
            "ready",
            "for",
            "room",
            "three",
            "and",
            "team",
            "will",
            "meet",
            "at",
            "noon",
            "please",
            "confirm",
            "that",
            "all",
            "instruments",
            "were",
            "counted",
            "before",
            "closing",
            "thank",
            "you",
        ];
        while self.text.len() < self.size {
            let word = self.one_of(&WORDS);
            let _ = write!(self.text, "{word} ");
        }
    }

    /// Sentences of common words, the commonest oftenest, up to the end or a little beyond.
    fn sentences(&mut self) {
        while self.text.len() < self.size {
            let words = 3 + self.random.below(10);
            for place in 0..words {
                // Of two draws the smaller: few words are said often and many seldom.
                let of = COMMON.len() as u32;
                let word = COMMON[self.random.below(of).min(self.random.below(of)) as usize];
                let (first, rest) = word.split_at(1);
                let space = if place == 0 { "" } else { " " };
                let first = if place == 0 { first.to_ascii_uppercase() } else { first.into() };
                let _ = write!(self.text, "{space}{first}{rest}");
            }
            let end = self.one_of(&[". ", ". ", ". ", "? ", "! ", ", ok? "]);
            self.text.push_str(end);
        }
    }

    fn noise(&mut self) {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        while self.text.len() < self.size {
            self.text.push(char::from(ALPHABET[self.random.below(64) as usize]));
        }
    }
}

/// Words of conversations, the commonest first.
#[rustfmt::skip]
const COMMON: [&str; 144] = [
    "i", "you", "the", "to", "it", "a", "and", "that", "is", "in", "we", "of", "on", "for", "not", "this", "have",
    "be", "do", "me", "so", "but", "can", "with", "just", "was", "are", "what", "at", "if", "my", "will", "get",
    "they", "about", "out", "now", "all", "up", "one", "know", "like", "there", "think", "he", "she", "go", "or",
    "when", "your", "how", "see", "no", "yes", "from", "time", "good", "then", "would", "here", "some", "still",
    "need", "well", "really", "want", "today", "tomorrow", "because", "them", "who", "back", "make", "work", "look",
    "maybe", "right", "also", "sure", "thanks", "please", "again", "later", "before", "after", "meeting", "call",
    "send", "link", "page", "code", "test", "build", "release", "issue", "fix", "branch", "review", "server",
    "deploy", "broken", "works", "weird", "great", "sorry", "morning", "evening", "lunch", "coffee", "train", "late",
    "early", "minutes", "hours", "week", "monday", "friday", "weekend", "holiday", "weather", "kids", "school",
    "doctor", "phone", "laptop", "screen", "password", "customer", "invoice", "contract", "budget", "report",
    "slides", "question", "answer", "idea", "problem", "reason", "different", "probably", "definitely", "actually",
    "yesterday", "afternoon",
];

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;
    use serde_json::Value;

    #[test]
    fn every_size_is_met_with_json_that_differs_from_number_to_number() {
        for shape in Shape::value_variants() {
            for size in [0, MEMBERS_MIN, 7, 30, 62, 128, 326, 1_024, 8_192] {
                let members = |number| shape.members(number, size);
                let text = format!("{{{}}}", members(1));
                assert_eq!(text.len(), size.max(MEMBERS_MIN) + 2, "{shape:?}");
                assert!(serde_json::from_str::<Value>(&text).unwrap().is_object(), "{text}");
                assert_eq!(members(1), members(1));
                assert!(size < 62 || members(1) != members(2));
            }
        }
    }

    #[test]
    fn there_is_in_it_what_its_name_says() {
        let value = |shape: Shape, size| -> Value {
            serde_json::from_str(&format!("{{{}}}", shape.members(3, size))).unwrap()
        };
        let progress = value(Shape::Progress, 1_024);
        assert!(
            progress["percent"].is_number() && progress["operation"].as_str().unwrap().starts_with("op-")
        );
        assert!(progress["log"].as_array().unwrap().len() > 10);
        assert!(value(Shape::Progress, 110)["eta_s"].is_number());
        assert!(value(Shape::Json, 1_000)["items"].as_array().unwrap().len() >= 5);
        assert!(value(Shape::Chat, 326)["p"].as_str().unwrap().contains(". "));
    }
}
