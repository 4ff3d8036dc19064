//! `[[room_type]]`: what rooms of one type have in common.

use std::time::Duration;

use fanfare_core::{HistoryRule, RoomType, Slow};

use super::problem::Problems;
use super::section::Section;

/// The type of every room that no other type names.
const DEFAULT: &str = "default";

/// All types but the default one, and that.
pub(super) fn read(sections: Vec<Section<'_>>, problems: &Problems) -> (Vec<RoomType>, RoomType) {
    let (mut types, mut default): (Vec<RoomType>, Option<RoomType>) = (Vec::new(), None);
    for section in sections {
        let Some(room_type) = room_type(section) else { continue };
        let twice = types.iter().chain(&default).any(|other| other.name == room_type.name);
        if twice {
            problems.add("room_type.name", format!("`{}` is there twice", room_type.name));
        } else if *room_type.name == *DEFAULT {
            default = Some(room_type);
        } else {
            types.push(room_type);
        }
    }
    (types, default.unwrap_or_else(|| RoomType::open(DEFAULT)))
}

fn room_type(mut section: Section<'_>) -> Option<RoomType> {
    let rule = "must be what stands before the `:` of a room's name: 1 to 64 of A-Z a-z 0-9 . _ - = ~ +";
    let name = section.parsed("name", None, rule, |text| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-=~+".contains(&byte);
        ((1..=64).contains(&text.len()) && text.bytes().all(allowed)).then(|| Some(text.to_owned()))
    });
    if name.is_none() {
        section.problem("name", "is required");
    }
    let room_type = RoomType {
        name: name.as_deref().unwrap_or_default().into(),
        join: section.texts("join", &["*"]),
        publish: section.texts("publish", &["*"]),
        max_members: section.number("max_members", 0, 0..=10_000_000),
        history: history(section.section("history")),
        slow: section.choice(
            "slow",
            Slow::default(),
            &[
                ("disconnect", Slow::Disconnect),
                ("drop_oldest", Slow::DropOldest),
                ("conflate", Slow::Conflate),
            ],
        ),
    };
    section.finish();
    name.map(|_| room_type)
}

/// `history = { size = 1000, ttl = "5m" }`.
fn history(mut section: Section<'_>) -> HistoryRule {
    const TTL_MS_MAX: u64 = 30 * 24 * 3_600_000;
    let default = HistoryRule::default();
    let ttl = section.duration("ttl", Duration::from_millis(default.ttl_ms), 1..=TTL_MS_MAX);
    let rule = HistoryRule {
        size: section.number("size", default.size, 0..=1_000_000),
        ttl_ms: ttl.as_millis() as u64,
    };
    section.finish();
    rule
}
