//! What of a new configuration counts without a restart.
//!
//! A setting needs a restart unless it is named here: what is sized, opened or laid out at the start stays as it is.

use fanfare_core::{Options, RateRule, RoomType};

use super::given::Change;
use super::problem::StartError;
use super::{Config, Limits, Timeouts};

/// Sections and settings that take effect at once. Of `[[room_type]]` see [`OF_ROOM_TYPES`].
const AT_ONCE: [&str; 24] = [
    "auth",
    "role",
    "heartbeat",
    "log.level",
    "compression.enabled",
    "limits.connections",
    "limits.connections_per_user",
    "limits.connections_per_address",
    "limits.upgrades_per_minute",
    "limits.members_per_room",
    "limits.rooms_per_connection",
    "limits.rooms_per_shard",
    "limits.commands_per_minute",
    "limits.burst",
    "limits.rate_violations",
    "limits.roles",
    "limits.http_body",
    "limits.http_head",
    "limits.http_connections",
    "timeouts.handshake",
    "timeouts.auth",
    "timeouts.http_keep_alive",
    "timeouts.http_request",
    "timeouts.drain",
];
/// Settings of a room type that was there before. What its rooms keep, and how, stays.
const OF_ROOM_TYPES: [&str; 4] = ["join", "publish", "create", "max_members"];

impl Config {
    /// Reads the configuration again from where this one came from.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read_again(&self) -> Result<Self, StartError> {
        let new = Self::load(&self.source)?;
        if new.development && !self.development {
            let message = "is missing: a server that runs is not put into development mode, where everybody knows the secret";
            return Err(StartError::of("auth.key", message));
        }
        Ok(new)
    }

    /// The settings in which another configuration differs.
    pub fn changes(&self, new: &Self) -> Vec<Change> {
        self.given.changes(&new.given, |name| self.is_at_once(new, name))
    }

    /// This configuration with what of a new one takes effect at once.
    #[must_use]
    pub fn renewed(&self, new: &Self) -> Self {
        let limits = Limits {
            connections: new.limits.connections,
            connections_per_user: new.limits.connections_per_user,
            connections_per_address: new.limits.connections_per_address,
            upgrades_per_minute: new.limits.upgrades_per_minute,
            members_per_room: new.limits.members_per_room,
            rooms_per_connection: new.limits.rooms_per_connection,
            rooms_per_shard: new.limits.rooms_per_shard,
            commands_per_minute: new.limits.commands_per_minute,
            burst: new.limits.burst,
            rate_violations: new.limits.rate_violations,
            roles: new.limits.roles,
            http_body: new.limits.http_body,
            http_head: new.limits.http_head,
            http_connections: new.limits.http_connections,
            ..self.limits
        };
        let timeouts = Timeouts {
            handshake: new.timeouts.handshake,
            auth: new.timeouts.auth,
            http_keep_alive: new.timeouts.http_keep_alive,
            http_request: new.timeouts.http_request,
            drain: new.timeouts.drain,
            ..self.timeouts
        };
        let mut config = Self {
            development: new.development,
            auth: new.auth.clone(),
            roles: new.roles.clone(),
            heartbeat: new.heartbeat,
            given: self.given.with(&new.given, |name| self.is_at_once(new, name)),
            limits,
            timeouts,
            ..self.clone()
        };
        config.compression.enabled = new.compression.enabled;
        config.log.level.clone_from(&new.log.level);
        if self.has_same_rates(new) {
            config.rates.clone_from(&new.rates);
        }
        for room_type in &mut config.room_types {
            if let Some(new) = new.room_types.iter().find(|new| new.name == room_type.name) {
                renew(room_type, new);
            }
        }
        renew(&mut config.default_room_type, &new.default_room_type);
        config
    }

    /// Options of shards that run, as this configuration has them: what is not named here stays.
    pub fn renew_options(&self, options: &Options) -> Options {
        let wanted = self.core_options(options.shards, options.seeds);
        let mut renewed = options.clone();
        renewed.limits.connections_per_user = wanted.limits.connections_per_user;
        renewed.limits.members_per_room = wanted.limits.members_per_room;
        renewed.limits.rooms_per_connection = wanted.limits.rooms_per_connection;
        renewed.limits.rooms_per_shard = wanted.limits.rooms_per_shard;
        renewed.limits.commands_per_minute = wanted.limits.commands_per_minute;
        renewed.limits.burst = wanted.limits.burst;
        renewed.limits.rate_violations = wanted.limits.rate_violations;
        renewed.limits.roles = wanted.limits.roles;
        renewed.heartbeat = wanted.heartbeat;
        renewed.broadcast_roles = wanted.broadcast_roles;
        renewed.roles = wanted.roles;
        for (rule, new) in renewed.rates.iter_mut().zip(&self.rates) {
            rule.rate = new.rate;
        }
        for (room_type, new) in renewed.room_types.iter_mut().zip(&wanted.room_types) {
            renew(room_type, new);
        }
        renew(&mut renewed.default_type, &wanted.default_type);
        renewed
    }

    /// Whether rules for rates differ in how fast only: what each has counted belongs to its place in the list.
    fn has_same_rates(&self, new: &Self) -> bool {
        let is_same =
            |(one, other): (&RateRule, &RateRule)| RateRule { rate: other.rate, ..one.clone() } == *other;
        self.rates.len() == new.rates.len() && self.rates.iter().zip(&new.rates).all(is_same)
    }

    fn is_at_once(&self, new: &Self, name: &str) -> bool {
        if let Some(of_type) = name.strip_prefix("room_type.") {
            let Some((kind, setting)) = of_type.rsplit_once('.') else { return false };
            let has = |config: &Self| config.room_types.iter().any(|of| *of.name == *kind);
            let is_kept = kind == "default" || (has(self) && has(new));
            return is_kept && OF_ROOM_TYPES.contains(&setting);
        }
        if name.starts_with("rate.") {
            return self.has_same_rates(new);
        }
        let is_in = |section: &str| {
            name.strip_prefix(section).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        AT_ONCE.iter().any(|section| is_in(section)) || name.starts_with("FANFARE_AUTH_SECRET")
    }
}

fn renew(room_type: &mut RoomType, new: &RoomType) {
    room_type.join.clone_from(&new.join);
    room_type.publish.clone_from(&new.publish);
    room_type.create.clone_from(&new.create);
    room_type.max_members = new.max_members;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        Config::parse(text, &|_| None, &|_| None).unwrap()
    }

    const KEY: &str =
        "[[auth.key]]\nalgorithm = \"HS256\"\nid = \"a\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n";

    #[test]
    fn each_change_is_told_and_secrets_are_not() {
        let old = config(&format!("[limits]\nburst = 7\nbacklog = \"2MiB\"\n{KEY}"));
        let new = config(&format!("shards = 2\n[limits]\nburst = 9\n{}", KEY.replace("cdef\"", "cdeX\"")));
        let changes = old.changes(&new);
        let told = |setting: &str| {
            let change = changes.iter().find(|change| change.setting == setting).unwrap();
            (change.old.as_deref(), change.new.as_deref(), change.at_once)
        };
        assert_eq!(told("limits.burst"), (Some("7"), Some("9"), true));
        assert_eq!(told("limits.backlog"), (Some("2MiB"), None, false));
        assert_eq!(told("shards"), (None, Some("2"), false));
        assert_eq!(told("auth.key.a.secret"), (Some("(secret)"), Some("(another secret)"), true));
        assert_eq!(changes.len(), 4, "{changes:?}");
        assert!(!format!("{new:?}").contains("0123456789abcdef"));
    }

    #[test]
    fn only_what_takes_effect_at_once_is_taken_and_the_rest_is_told_again() {
        let old = config(&format!("[[room_type]]\nname = \"chat\"\n{KEY}"));
        let text = "[limits]\nburst = 9\nmessage_size = 2048\n[[room_type]]\nname = \"chat\"\njoin = [\"nurse\"]\n\
                    history = { size = 5 }\n[[room_type]]\nname = \"news\"\njoin = [\"x\"]\n";
        let new = config(&format!("{text}{KEY}"));
        let renewed = old.renewed(&new);
        assert_eq!((renewed.limits.burst, renewed.limits.message_size), (9, 65_536));
        assert!(!renewed.room_types.iter().any(|of| &*of.name == "news"));
        let chat = renewed.room_types.iter().position(|of| &*of.name == "chat").unwrap();
        assert_eq!(renewed.room_types[chat].join, ["nurse"]);
        assert_eq!(renewed.room_types[chat].history.size, 1_000);
        let mut options = old.core_options(3, fanfare_core::Seeds { hashes: 5, ids: 6 });
        options.limits.services = 77;
        let options = renewed.renew_options(&options);
        assert_eq!((options.limits.burst, options.shards, options.seeds.hashes), (9, 3, 5));
        assert_eq!(
            (options.limits.services, &options.room_types[chat].join[..]),
            (77, &["nurse".to_owned()][..])
        );
        let left: Vec<String> = renewed.changes(&new).into_iter().map(|change| change.setting).collect();
        let restart = [
            "limits.message_size",
            "room_type.chat.history.size",
            "room_type.news.join",
            "room_type.news.name",
        ];
        assert_eq!(left, restart);
        assert!(renewed.changes(&new).iter().all(|change| !change.at_once));
    }

    #[test]
    fn what_is_said_to_take_effect_at_once_does() {
        let text = [
            ("auth", "[auth]\nleeway = \"7s\"\nallowed_origins = [\"https://a.example\"]"),
            ("role", "[[role]]\nname = \"nurse\"\npermissions = [\"join\"]"),
            ("heartbeat", "[heartbeat]\ninterval = \"7s\""),
            ("log.level", "[log]\nlevel = \"warn\""),
            ("compression.enabled", "[compression]\nenabled = false"),
        ];
        let text = text.map(|(name, text)| (name, text.to_owned()));
        let of_limits = AT_ONCE.iter().filter_map(|name| Some((*name, name.strip_prefix("limits.")?)));
        let of_limits = of_limits.map(|(name, last)| {
            let value = if last == "http_body" || last == "http_head" { "\"8KiB\"" } else { "7" };
            (name, format!("[limits]\n{last} = {value}"))
        });
        let of_timeouts = AT_ONCE.iter().filter_map(|name| Some((*name, name.strip_prefix("timeouts.")?)));
        let of_timeouts = of_timeouts.map(|(name, last)| (name, format!("[timeouts]\n{last} = \"7s\"")));
        let all: Vec<(&str, String)> = text.into_iter().chain(of_limits).chain(of_timeouts).collect();
        assert!(AT_ONCE.iter().all(|name| all.iter().any(|(of, _)| of == name)));
        let parts = |of: &Config| {
            let auth = (&of.auth, &of.roles, &of.compression, &of.log, of.heartbeat);
            format!(
                "{:?}",
                (of.limits, of.timeouts, auth, of.core_options(3, fanfare_core::Seeds::default()))
            )
        };
        for (name, text) in all {
            let (old, new) = (config(KEY), config(&format!("{text}\n{KEY}")));
            assert_ne!(parts(&old), parts(&new), "{name}");
            let renewed = old.renewed(&new);
            assert_eq!(parts(&renewed), parts(&new), "{name}");
            let options = renewed.renew_options(&old.core_options(3, fanfare_core::Seeds::default()));
            let wanted = new.core_options(3, fanfare_core::Seeds::default());
            assert_eq!(format!("{options:?}"), format!("{wanted:?}"), "{name}");
            assert!(old.changes(&new).iter().all(|change| change.at_once), "{name}");
        }
    }

    #[test]
    fn every_name_is_that_of_a_setting() {
        let example = include_str!("../../fanfare.example.toml");
        for name in AT_ONCE.iter().filter_map(|name| name.rsplit_once('.')).map(|(_, last)| last) {
            assert!(example.contains(&format!("\n{name} = ")), "{name}");
        }
    }
}
