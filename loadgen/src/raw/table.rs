//! The table itself: a TOML file, or one of those that are ready.

use serde::Deserialize;

/// The ready tables.
const PRESETS: &[(&str, &str)] = &[
    ("centrifugo", include_str!("../../presets/centrifugo.toml")),
    ("socket.io", include_str!("../../presets/socket.io.toml")),
    ("uwebsockets", include_str!("../../presets/uwebsockets.toml")),
    ("ws", include_str!("../../presets/ws.toml")),
];

/// How a server is talked to. `{room}` stands for a room's name, `{id}` for a command's number on its
/// connection (from 2 on), `{token}` and `{user}` for the connection's own, `{data}` for a message's data, a
/// JSON object. What is awaited is any message that holds the text.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    /// Path and query, where --url has none. `{user}` and `{connection}`, its number, make it each connection's own.
    #[serde(default = "root")]
    pub(crate) path: String,
    /// The WebSocket subprotocol, if one is asked for.
    pub(crate) subprotocol: Option<String>,
    /// What to wait for before anything is sent.
    pub(crate) greeting: Option<String>,
    /// What is sent first.
    pub(crate) hello: Option<String>,
    /// What to wait for after that.
    pub(crate) ready: Option<String>,
    /// Sent for each room; without it a connection is a member of the one room there is.
    pub(crate) subscribe: Option<String>,
    /// What answers it; without it a subscription is believed at once.
    pub(crate) subscribed: Option<String>,
    /// Sent for each message; not needed where connections are only opened and held.
    pub(crate) publish: Option<String>,
    /// What tells a refusal: the connection then counts as failed.
    pub(crate) failed: Option<String>,
    /// A whole message that asks for a sign of life.
    pub(crate) ping: Option<String>,
    /// What answers it.
    pub(crate) pong: Option<String>,
}

fn root() -> String {
    "/".into()
}

impl Table {
    /// Reads a table.
    ///
    /// # Errors
    /// What is wrong with it, with line and column where TOML itself is.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let table: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        if table.publish.as_ref().is_some_and(|publish| publish.matches("{data}").count() != 1) {
            return Err("publish must hold {data} once".into());
        }
        if table.ping.is_some() != table.pong.is_some() {
            return Err("ping and pong go together".into());
        }
        if !table.path.starts_with('/') || !table.path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("path must begin with / and hold only visible ASCII".into());
        }
        if own_path(&table.path, "", 0).contains(['{', '}']) {
            return Err("path may hold {user} and {connection}, and no other braces".into());
        }
        Ok(table)
    }

    /// Whether it tells rooms apart.
    pub(crate) fn knows_rooms(&self) -> bool {
        let names_room = |text: &Option<String>| text.as_ref().is_some_and(|text| text.contains("{room}"));
        names_room(&self.subscribe) && (names_room(&self.publish) || self.publish.is_none())
    }

    /// The table of that name, or in that file.
    ///
    /// # Errors
    /// There is none, or it is wrong.
    pub(crate) fn find(name_or_file: &str) -> Result<Self, String> {
        if let Some(table) = preset(name_or_file) {
            return Ok(table);
        }
        let text = std::fs::read_to_string(name_or_file).map_err(|error| {
            format!("--raw: neither a ready table ({}) nor a file: {error}", preset_names().join(", "))
        })?;
        Self::parse(&text).map_err(|error| format!("--raw {name_or_file}: {error}"))
    }
}

/// The path of one connection.
pub(crate) fn own_path(path: &str, user: &str, connection: u32) -> String {
    path.replace("{user}", user).replace("{connection}", &connection.to_string())
}

/// A ready table.
pub(crate) fn preset(name: &str) -> Option<Table> {
    Table::parse(preset_text(name)?).ok()
}

/// A ready table as it is written.
pub(crate) fn preset_text(name: &str) -> Option<&'static str> {
    PRESETS.iter().find(|(preset, _)| *preset == name).map(|(_, text)| *text)
}

/// The names of the ready tables.
pub(crate) fn preset_names() -> Vec<&'static str> {
    PRESETS.iter().map(|(name, _)| *name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ready_tables_are_right() {
        for name in preset_names() {
            Table::parse(preset_text(name).unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }

    #[test]
    fn wrong_tables_are_refused_with_the_key() {
        let base = "subscribe = '{room}'\npublish = '{room} {data}'\n";
        assert!(Table::parse(base).is_ok());
        for (more, named) in [
            ("pong = 'x'\n", "ping"),
            ("path = 'x'\n", "path"),
            ("path = \"/a b\\r\\n\"\n", "path"),
            ("subscripe = 'x'\n", "subscripe"),
            ("path = '/ws/{usr}'\n", "{user}"),
            ("path = '/ws/{user'\n", "{user}"),
            ("path = '/ws/}'\n", "{user}"),
            ("ready = 7\n", "ready"),
        ] {
            let error = Table::parse(&format!("{base}{more}")).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
        assert!(Table::parse("publish = '{room}'").unwrap_err().contains("{data}"));
        assert!(!Table::parse("publish = '{data}'").unwrap().knows_rooms());
        assert!(!Table::parse("path = '/ws/{user}'").unwrap().knows_rooms());
        assert!(Table::parse("subscribe = '{room}'").unwrap().knows_rooms());
        let own = Table::parse("path = '/ws/{user}/{connection}?u={user}'").unwrap().path;
        assert_eq!(own_path(&own, "load-7", 40), "/ws/load-7/40?u=load-7");
        assert!(Table::find("no-such-thing").unwrap_err().contains("socket.io"));
    }
}
