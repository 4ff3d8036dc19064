//! `[[room_type]]`: what rooms of one type have in common.

use std::time::Duration;

use fanfare_core::{
    Compression, Delivery, Devices, HistoryRule, Owner, Presence, QueueRule, RoomType, Sanitize, Slow,
};

use super::problem::Problems;
use super::section::Section;
use super::settings::{MODES, RESET_EVERY};

/// The type of every room that no other type names.
const DEFAULT: &str = "default";

/// All types but the default one, and that.
pub(super) fn read(
    sections: Vec<Section<'_>>,
    compression: Compression,
    problems: &Problems,
) -> (Vec<RoomType>, RoomType) {
    let (mut types, mut default): (Vec<RoomType>, Option<RoomType>) = (Vec::new(), None);
    for section in sections {
        let Some(room_type) = room_type(section, compression) else { continue };
        let twice = types.iter().chain(&default).any(|other| other.name == room_type.name);
        if twice {
            problems.add("room_type.name", format!("`{}` is there twice", room_type.name));
        } else if *room_type.name == *DEFAULT {
            default = Some(room_type);
        } else {
            types.push(room_type);
        }
    }
    // What services bring themselves, unless it is given here.
    for of_service in fanfare_core::service::room_types() {
        if types.iter().all(|other| other.name != of_service.name) {
            types.push(RoomType { compression, ..of_service });
        }
    }
    (types, default.unwrap_or_else(|| RoomType { compression, ..RoomType::open(DEFAULT) }))
}

fn room_type(mut section: Section<'_>, compression: Compression) -> Option<RoomType> {
    let rule = "must be what stands before the `:` of a room's name: 1 to 64 of A-Z a-z 0-9 . _ - = ~ +";
    let name = section.parsed("name", None, rule, |text| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-=~+".contains(&byte);
        ((1..=64).contains(&text.len()) && text.bytes().all(allowed)).then(|| Some(text.to_owned()))
    });
    if name.is_none() {
        section.problem("name", "is required");
    }
    let (delivery, queue, devices, durable) = keeping(&mut section, QueueRule::NONE);
    let room_type = RoomType {
        name: name.as_deref().unwrap_or_default().into(),
        join: section.roles("join", &["*"]),
        publish: section.roles("publish", &["*"]),
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
        delivery,
        queue,
        devices,
        durable,
        sanitize: sanitize(&mut section),
        compression: Compression {
            mode: section.choice("compression", compression.mode, &MODES),
            level: section.number("compression_level", compression.level, 1..=9),
            reset_every: section.number("compression_reset", compression.reset_every, RESET_EVERY),
            ..compression
        },
        presence: section.flag_or(
            "presence",
            [Presence::Off, Presence::Users],
            &[("each", Presence::Connections)],
        ),
        owner: section.choice("owner", Owner::Nobody, &[("nobody", Owner::Nobody), ("id", Owner::Id)]),
        private: section.flag("private", false),
        create: section.roles("create", &[]),
        created_only: section.flag("created_only", false),
        cleanup: section.flag("cleanup", false),
    };
    for (field, is_set) in [("private", room_type.private), ("created_only", room_type.created_only)] {
        if is_set && room_type.create.is_empty() {
            section.problem(
                field,
                "needs `create`, the roles that may create rooms: without it nobody could be let in",
            );
        }
    }
    section.finish();
    name.map(|_| room_type)
}

/// `[inbox]`: users' own rooms.
pub(super) fn inbox(mut section: Section<'_>, compression: Compression) -> RoomType {
    let (delivery, queue, devices, durable) = keeping(&mut section, QueueRule::USUAL);
    let sanitize = sanitize(&mut section);
    section.finish();
    RoomType { delivery, queue, devices, durable, sanitize, compression, ..RoomType::inbox() }
}

fn sanitize(section: &mut Section<'_>) -> Sanitize {
    let rules = [("off", Sanitize::Off), ("strip", Sanitize::Strip), ("refuse", Sanitize::Refuse)];
    section.choice("sanitize", Sanitize::Off, &rules)
}

/// Longest time that anything is kept or waited for.
const TTL_MS_MAX: u64 = 30 * 24 * 3_600_000;

/// What is remembered of readers, and where.
fn keeping(section: &mut Section<'_>, unacknowledged: QueueRule) -> (Delivery, QueueRule, Devices, bool) {
    let deliveries = [("at_most_once", false), ("at_least_once", true)];
    let acknowledged = section.choice("delivery", false, &deliveries);
    let ack_wait = section.duration("ack_wait", Duration::from_secs(30), 100..=TTL_MS_MAX);
    let max_deliver = section.number("max_deliver", 3, 1..=100);
    let delivery = if acknowledged {
        Delivery::AtLeastOnce { ack_wait_ms: ack_wait.as_millis() as u64, max_deliver }
    } else {
        Delivery::AtMostOnce
    };
    let queue = queue(section.section("queue"), if acknowledged { QueueRule::USUAL } else { unacknowledged });
    let devices = section.choice("devices", Devices::Any, &[("any", Devices::Any), ("each", Devices::Each)]);
    (delivery, queue, devices, section.flag("durable", false))
}

/// `queue = { size = 1000, ttl = "1h" }`.
fn queue(mut section: Section<'_>, default: QueueRule) -> QueueRule {
    let size = section.number("size", default.size, 0..=100_000);
    let ttl = section.duration("ttl", Duration::from_millis(QueueRule::USUAL.ttl_ms), 1..=TTL_MS_MAX);
    section.finish();
    QueueRule { size, ttl_ms: if size == 0 { 0 } else { ttl.as_millis() as u64 } }
}

/// `history = { size = 1000, ttl = "5m" }`.
fn history(mut section: Section<'_>) -> HistoryRule {
    let default = HistoryRule::default();
    let ttl = section.duration("ttl", Duration::from_millis(default.ttl_ms), 1..=TTL_MS_MAX);
    let rule = HistoryRule {
        size: section.number("size", default.size, 0..=1_000_000),
        ttl_ms: ttl.as_millis() as u64,
    };
    section.finish();
    rule
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn parse(settings: &str) -> Result<RoomType, String> {
        let text = format!("[[room_type]]\nname = \"ward\"\n{settings}\n");
        let config = Config::parse(&text, &|_| None, &|_| None).map_err(|error| error.to_string())?;
        Ok(config.room_types[0].clone())
    }

    #[test]
    fn presence_is_of_nobody_of_users_or_of_connections() {
        for (settings, presence) in [
            ("", Presence::Off),
            ("presence = false", Presence::Off),
            ("presence = true", Presence::Users),
            ("presence = \"each\"", Presence::Connections),
        ] {
            assert_eq!(parse(settings).unwrap().presence, presence, "{settings}");
        }
        for settings in ["presence = \"all\"", "presence = 1", "presence = [\"each\"]"] {
            let told = parse(settings).unwrap_err();
            assert!(told.contains("room_type.presence (line 3): must be true, false or \"each\""), "{told}");
        }
    }

    #[test]
    fn lists_of_roles_may_keep_roles_out() {
        let ward = parse("join = [\"!anonymous\", \"*\"]").unwrap();
        assert_eq!(
            (&ward.join[..], &ward.publish[..]),
            (&["!anonymous".into(), "*".into()][..], &["*".into()][..])
        );
        for setting in ["join", "publish", "create"] {
            for role in ["", "!"] {
                let told = parse(&format!("{setting} = [\"{role}\"]")).unwrap_err();
                assert!(told.contains(&format!("room_type.{setting} (line 1): must be roles")), "{told}");
            }
        }
    }

    #[test]
    fn rooms_belong_to_nobody_or_to_who_is_named() {
        assert_eq!(parse("").unwrap().owner, Owner::Nobody);
        assert_eq!(parse("owner = \"id\"").unwrap().owner, Owner::Id);
        for settings in ["owner = \"name\"", "owner = true"] {
            let told = parse(settings).unwrap_err();
            assert!(told.contains("room_type.owner (line 3): must be one of \"nobody\", \"id\""), "{told}");
        }
    }
}
