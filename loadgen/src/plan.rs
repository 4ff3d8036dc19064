//! A checked plan: who connects where, who is a member of which room.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use fanfare_protocol::deflate::ServerContext;
use fanfare_protocol::{DEVELOPMENT_SECRET, Encoding, RoomName};
use serde::Serialize;

use crate::cli::{CommonArgs, EncodingArg};
use crate::raw::{Raw, Table};
use crate::token::Credentials;

/// Connections from one source address before the next is used; Linux has about 28,000 local ports for each.
const CONNECTIONS_PER_SOURCE: u32 = 25_000;
/// Descriptors needed beside the connections' own.
const SPARE_DESCRIPTORS: u64 = 32;

/// Where to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The first address the name resolved to.
    pub(crate) addr: SocketAddr,
    /// For the `Host` header.
    pub(crate) host: String,
    /// Path and query.
    pub(crate) path: String,
}

/// Which connection is a member of which room: memberships are dealt round, so each connection has as many
/// as any other (give or take one) and never twice the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memberships {
    /// Rooms, numbered from 0.
    pub(crate) rooms: u32,
    /// Members of each room; at most `connections`.
    pub(crate) members: u32,
    /// Connections, numbered from 0.
    pub(crate) connections: u32,
}

impl Memberships {
    /// All memberships; each has an index below this.
    pub(crate) fn total(&self) -> usize {
        self.rooms as usize * self.members as usize
    }

    /// The membership of a connection in a room, if it has one.
    #[inline]
    pub(crate) fn index(&self, room: u32, connection: u32) -> Option<usize> {
        if room >= self.rooms || connection >= self.connections {
            return None;
        }
        let first = u64::from(room) * u64::from(self.members);
        let connections = u64::from(self.connections);
        let place = (u64::from(connection) + connections - first % connections) % connections;
        (place < u64::from(self.members)).then_some((first + place) as usize)
    }

    /// The rooms of a connection.
    pub(crate) fn rooms_of(&self, connection: u32) -> impl Iterator<Item = u32> + use<> {
        let members = self.members.max(1) as usize;
        let indexes = if connection < self.connections { connection as usize..self.total() } else { 0..0 };
        indexes.step_by(self.connections.max(1) as usize).map(move |index| (index / members) as u32)
    }
}

/// Which permessage-deflate (RFC 7692) is offered, and required of the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Deflate {
    /// No offer.
    #[default]
    None,
    /// Each message must be compressed on its own.
    Alone,
    /// Messages may refer to those before them, as browsers allow.
    Shared,
}

impl Deflate {
    /// What the server may do, where there is an offer.
    pub(crate) fn server_context(self) -> Option<ServerContext> {
        match self {
            Self::None => None,
            Self::Alone => Some(ServerContext::Fresh),
            Self::Shared => Some(ServerContext::TakenOver),
        }
    }
}

/// Everything a fleet of connections needs to know.
pub(crate) struct Plan {
    /// The server.
    pub(crate) target: Target,
    /// How connections authenticate.
    pub(crate) credentials: Credentials,
    /// How to talk to a server that is not Fanfare.
    pub(crate) raw: Option<Raw>,
    /// The subprotocol.
    pub(crate) encoding: Encoding,
    /// Which permessage-deflate is offered and required.
    pub(crate) deflate: Deflate,
    /// Connections that may be opening at once.
    pub(crate) opening: u32,
    /// How long one connection may take to be ready.
    pub(crate) timeout: Duration,
    /// What room names begin with.
    pub(crate) room_prefix: String,
    /// Who is a member of what.
    pub(crate) memberships: Memberships,
    /// Further connections that are members of nothing.
    pub(crate) publishers: u32,
}

impl Plan {
    /// Checks what the command line gave.
    ///
    /// # Errors
    /// A sentence for the user, who has to change an argument.
    pub(crate) fn new(args: &CommonArgs, memberships: Memberships, publishers: u32) -> Result<Self, String> {
        if memberships.members > memberships.connections {
            return Err(format!(
                "--connections must be at least --members ({}): a connection joins a room only once",
                memberships.members
            ));
        }
        memberships.connections.checked_add(publishers).ok_or("too many connections")?;
        RoomName::parse(&format!("{}{}", args.room_prefix, memberships.rooms))
            .map_err(|error| format!("--room-prefix: {error}"))?;
        let raw = args.raw.as_deref().map(Table::find).transpose()?;
        check_raw(raw.as_ref(), args, memberships, publishers)?;
        let mut target = parse_url("--url", "ws://", &args.url)?;
        if let Some(table) = raw.as_ref().filter(|_| target.path == "/") {
            target.path.clone_from(&table.path);
        }
        Ok(Self {
            target,
            credentials: credentials(args),
            raw: raw.map(|table| Raw::new(args.raw.as_deref().unwrap_or_default(), table, memberships.rooms)),
            encoding: match args.encoding {
                EncodingArg::Json => Encoding::Json,
                EncodingArg::Msgpack => Encoding::MessagePack,
            },
            deflate: args.deflate,
            opening: args.opening,
            timeout: args.timeout,
            room_prefix: args.room_prefix.clone(),
            memberships,
            publishers,
        })
    }

    /// What is spoken, for the report.
    pub(crate) fn protocol(&self) -> &str {
        self.raw.as_ref().map_or(self.encoding.subprotocol(), |raw| raw.name())
    }

    /// All connections.
    pub(crate) fn connections(&self) -> u32 {
        self.memberships.connections.saturating_add(self.publishers)
    }

    /// The name of room `number`.
    pub(crate) fn room(&self, number: u32) -> String {
        format!("{}{number}", self.room_prefix)
    }

    /// The loopback address that connection `index` comes from, when one source has too few ports for all.
    pub(crate) fn source(&self, index: u32) -> Option<IpAddr> {
        let spread = self.connections() > CONNECTIONS_PER_SOURCE && self.target.addr.ip().is_loopback();
        if !spread || self.target.addr.is_ipv6() {
            return None;
        }
        let number = 2 + index / CONNECTIONS_PER_SOURCE;
        Some(Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 0, 0, 0)).wrapping_add(number)).into())
    }

    /// Checks the connections against the limit of open files.
    ///
    /// # Errors
    /// What to do about a limit that is too low.
    pub(crate) fn check_open_files(&self, limit: u64) -> Result<(), String> {
        let needed = u64::from(self.connections()) + SPARE_DESCRIPTORS;
        if needed <= limit {
            return Ok(());
        }
        Err(format!(
            "{} connections need {needed} open files, the hard limit is {limit}: raise it (`ulimit -Hn {needed}` as root) \
             or run several load generators",
            self.connections()
        ))
    }
}

fn credentials(args: &CommonArgs) -> Credentials {
    let credentials = match (&args.token_secret, &args.token) {
        _ if args.dev => Credentials::signed_with(DEVELOPMENT_SECRET),
        (Some(secret), _) => Credentials::signed_with(secret),
        (None, Some(token)) => Credentials::fixed(token.clone()),
        (None, None) => Credentials::none(),
    };
    match args.users {
        Some(users) => credentials.shared_by(users),
        None => credentials,
    }
}

/// What a server that is told by a table cannot be asked for.
fn check_raw(
    table: Option<&Table>,
    args: &CommonArgs,
    memberships: Memberships,
    publishers: u32,
) -> Result<(), String> {
    let Some(table) = table else { return Ok(()) };
    if args.encoding != EncodingArg::Json {
        return Err("--raw sends text: leave --encoding out".into());
    }
    if memberships.rooms > 1 && !table.knows_rooms() {
        return Err("--raw: this table knows no {room}, so there can be only one".into());
    }
    if publishers > 0 && table.publish.is_none() {
        return Err("--raw: this table has no publish".into());
    }
    if publishers > 0 && !memberships.rooms.is_multiple_of(publishers) {
        // Or else two connections would publish to the same room, and nobody knows in which order.
        return Err(format!("--raw: --rooms must be a multiple of --publishers ({publishers})"));
    }
    Ok(())
}

/// Reads an address that begins with `scheme`; errors name the option it came from.
pub(crate) fn parse_url(option: &str, scheme: &str, url: &str) -> Result<Target, String> {
    let rest = url
        .strip_prefix(scheme)
        .ok_or_else(|| format!("{option} must begin with {scheme} (TLS is not measured)"))?;
    let slash = rest.find('/').unwrap_or(rest.len());
    let (host, path) = rest.split_at(slash);
    let has_port = host.rfind(':') > host.rfind(']');
    let authority = if has_port { host.to_owned() } else { format!("{host}:80") };
    if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("{option} may hold only visible ASCII"));
    }
    let mut addrs =
        authority.to_socket_addrs().map_err(|error| format!("{option}: cannot resolve the host: {error}"))?;
    let addr = addrs.next().ok_or_else(|| format!("{option}: the host has no address"))?;
    let path = if path.is_empty() { "/" } else { path };
    Ok(Target { addr, host: host.into(), path: path.into() })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::collections::HashSet;

    /// A plan for tests: 3 rooms of 2 members on 4 connections.
    pub(crate) fn plan() -> Plan {
        Plan {
            target: parse_url("--url", "ws://", "ws://127.0.0.1:8080/v1/ws").unwrap(),
            credentials: Credentials::signed_with(DEVELOPMENT_SECRET),
            raw: None,
            encoding: Encoding::Json,
            deflate: Deflate::None,
            opening: 8,
            timeout: Duration::from_secs(5),
            room_prefix: "load:".into(),
            memberships: Memberships { rooms: 3, members: 2, connections: 4 },
            publishers: 1,
        }
    }

    #[test]
    fn each_room_has_its_members_and_each_membership_its_own_index() {
        for (rooms, members, connections) in
            [(1, 5, 5), (3, 2, 4), (7, 3, 3), (100, 10, 1_000), (5, 3, 7), (0, 0, 9)]
        {
            let memberships = Memberships { rooms, members, connections };
            let mut seen = HashSet::new();
            for connection in 0..connections {
                let mine: Vec<u32> = memberships.rooms_of(connection).collect();
                for room in 0..rooms {
                    let index = memberships.index(room, connection);
                    assert_eq!(index.is_some(), mine.contains(&room));
                    if let Some(index) = index {
                        assert!(index < memberships.total() && seen.insert(index));
                        assert_eq!(index / members as usize, room as usize);
                    }
                }
            }
            assert_eq!(seen.len(), memberships.total());
            assert_eq!(memberships.rooms_of(connections).count(), 0);
            assert_eq!(memberships.index(rooms, 0), None);
        }
    }

    #[test]
    fn urls_are_read_or_refused() {
        let target = parse_url("--url", "ws://", "ws://127.0.0.1:9001").unwrap();
        assert_eq!((target.addr.port(), target.path.as_str()), (9001, "/"));
        assert_eq!(parse_url("--url", "ws://", "ws://[::1]:9/x?y=z").unwrap().path, "/x?y=z");
        assert_eq!(parse_url("--url", "ws://", "ws://127.0.0.1/a").unwrap().addr.port(), 80);
        for bad in [
            "http://127.0.0.1/",
            "wss://127.0.0.1/",
            "ws://",
            "ws://127.0.0.1:99999/",
            "ws://127.0.0.1/a b\r\n",
        ] {
            assert!(parse_url("--url", "ws://", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn many_connections_come_from_several_addresses() {
        let mut plan = plan();
        assert_eq!(plan.source(0), None);
        plan.memberships.connections = 60_000;
        assert_eq!(plan.source(0), Some(Ipv4Addr::new(127, 0, 0, 2).into()));
        assert_eq!(plan.source(59_999), Some(Ipv4Addr::new(127, 0, 0, 4).into()));
        assert!(plan.check_open_files(20_000).unwrap_err().contains("20000"));
        assert!(plan.check_open_files(100_000).is_ok());
    }
}
