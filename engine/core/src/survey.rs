//! One shard's answers to questions that go to all.

use std::collections::BTreeMap;

use fanfare_protocol::RoomName;

use crate::effect::Effects;
use crate::home::HomeRooms;
use crate::id::ConnectionId;
use crate::local::{Connection, Local, State};
use crate::time::Now;
use crate::view::{ConnectionRow, ConnectionState, Question, Rows, UserRow};

pub(crate) fn rows(
    local: &mut Local,
    home: &HomeRooms,
    now: Now,
    question: &Question,
    out: &mut Effects,
) -> Rows {
    match question {
        Question::Connections { user_id: Some(user_id), limit, .. } => {
            let found = members(local, &RoomName::of_user(user_id));
            Rows::Connections(listed(local, now, &found, *limit))
        }
        Question::Connections { client_id: Some(client_id), limit, .. } => {
            let found = members(local, &RoomName::of_client(client_id));
            Rows::Connections(listed(local, now, &found, *limit))
        }
        Question::Connections { state, limit, .. } => {
            let wanted = |connection: &Connection| match state {
                None => connection.state == State::Open,
                Some(state) => connection.state != State::Bare && condition(connection) == *state,
            };
            let found = local.connections.iter().filter(|(_, connection)| wanted(connection));
            let rows = found.take(*limit as usize).map(|(_, connection)| row(local, now, connection));
            Rows::Connections(rows.collect())
        }
        Question::Users { limit } => {
            let mut users: BTreeMap<&str, u32> = BTreeMap::new();
            for (_, connection) in local.connections.iter().filter(|(_, c)| c.state == State::Open) {
                if users.len() < *limit as usize || users.contains_key(connection.user_id()) {
                    *users.entry(connection.user_id()).or_default() += 1;
                }
            }
            let row = |(user, connections): (&str, u32)| UserRow { user_id: user.to_owned(), connections };
            Rows::Users(users.into_iter().map(row).collect())
        }
        Question::Rooms { limit } => Rows::Rooms(home.rows(now, *limit as usize)),
        Question::Disconnect(ending) => Rows::Disconnected(local.end(now, ending, out)),
    }
}

fn members(local: &Local, room: &RoomName) -> Vec<ConnectionId> {
    let found = local.rooms.find(room).and_then(|number| local.rooms.get(number));
    let slots = found.into_iter().flat_map(|room| room.groups.iter().flat_map(|group| group.slots()));
    slots.map(|slot| local.connections.id_of(slot)).collect()
}

fn listed(local: &Local, now: Now, ids: &[ConnectionId], limit: u32) -> Vec<ConnectionRow> {
    let connections = ids.iter().filter_map(|id| local.connections.get(*id));
    connections.take(limit as usize).map(|connection| row(local, now, connection)).collect()
}

fn condition(connection: &Connection) -> ConnectionState {
    match connection.state {
        State::AwaitingToken => ConnectionState::Connecting,
        State::Admitting => ConnectionState::Authenticated,
        State::Open if connection.is_blocked() => ConnectionState::Slow,
        State::Open | State::Bare => ConnectionState::Connected,
        State::Closing => ConnectionState::Closing,
    }
}

fn row(local: &Local, now: Now, connection: &Connection) -> ConnectionRow {
    let rooms = connection.memberships.iter().filter_map(|membership| local.rooms.get(membership.room));
    let named = rooms.filter(|room| !room.name.is_engine_room()).map(|room| room.name.to_string());
    let ago_ms = |at_ms: u64| now.mono_ms().saturating_sub(at_ms);
    ConnectionRow {
        dialect: connection.class.dialect(),
        client_id: connection.client_id().to_owned(),
        user_id: connection.user_id().to_owned(),
        role: local.roles.name(connection.role).to_owned(),
        shard: local.shard.0,
        connected_at_unix_ms: connection.opened_unix_ms,
        rooms: named.collect(),
        commands: u64::from(connection.commands),
        backlog_bytes: connection.backlog.as_ref().map_or(0, |backlog| backlog.bytes()),
        state: condition(connection),
        last_activity_unix_ms: now.unix_ms.saturating_sub(ago_ms(connection.received_ms)),
        idle_ms: ago_ms(connection.command_ms),
        health: connection.extra.as_ref().and_then(|extra| Some(extra.health.as_ref()?.row())),
    }
}
