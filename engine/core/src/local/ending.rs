//! Ending connections that somebody names, and under pressure those that owe most.

use std::cmp::Reverse;

use fanfare_protocol::RoomName;

use crate::effect::Effects;
use crate::ending::{Ending, Who};
use crate::id::ConnectionId;
use crate::local::connection::{Connection, State};
use crate::local::shard::Local;
use crate::time::Now;

/// Connections that one tick ends while the server sheds the most indebted ones.
const SHED_AT_ONCE: usize = 16;
/// A backlog this small is nothing to be ended for.
const SHED_BYTES_MIN: usize = 64 * 1_024;

impl Local {
    /// Ends them, or counts them; gives how many. Connections that are about to be welcomed are found as well. It looks at
    /// every connection of the shard, which takes a millisecond for a hundred thousand.
    pub(crate) fn end(&mut self, now: Now, ending: &Ending, out: &mut Effects) -> u32 {
        let found = match &ending.who {
            Who::All => self.living(|_| true),
            Who::User(user_id) => {
                let user = RoomName::of_user(user_id);
                self.living(|connection| connection.is_of(&user))
            }
            Who::Client(client_id) => {
                let client = RoomName::of_client(client_id);
                self.living(|connection| connection.client == client)
            }
            Who::Keys(keys) => self.living(|connection| connection.key > 0 && keys.contains(&connection.key)),
            // The shell finds those.
            Who::Network(_) => Vec::new(),
        };
        self.end_these(now, &found, ending, out)
    }

    /// Ends these, or counts those of them that have not ended by now.
    pub(crate) fn end_these(
        &mut self,
        now: Now,
        found: &[ConnectionId],
        ending: &Ending,
        out: &mut Effects,
    ) -> u32 {
        let mut count = 0;
        for id in found {
            let is_living = |connection: &Connection| connection.state != State::Closing;
            if !self.connections.get(*id).is_some_and(is_living) {
                continue;
            }
            count += 1;
            if !ending.count_only {
                self.close(now, *id, ending.close.clone(), out);
            }
        }
        count
    }

    fn living(&self, is_meant: impl Fn(&Connection) -> bool) -> Vec<ConnectionId> {
        let living = self.connections.iter().filter(|(_, connection)| connection.state != State::Closing);
        living.filter(|(_, connection)| is_meant(connection)).map(|(id, _)| id).collect()
    }

    /// The server sheds load: those for whom most waits go first.
    pub(crate) fn shed_most_indebted(&mut self, now: Now, out: &mut Effects) {
        if self.stats.backlogs == 0 {
            return;
        }
        let owed = |connection: &Connection| connection.backlog.as_ref().map_or(0, |backlog| backlog.bytes());
        let all = self.connections.iter().map(|(id, connection)| (owed(connection), id));
        let mut most: Vec<(usize, ConnectionId)> =
            all.filter(|(bytes, _)| *bytes >= SHED_BYTES_MIN).collect();
        most.sort_unstable_by_key(|(bytes, _)| Reverse(*bytes));
        for (_, id) in most.into_iter().take(SHED_AT_ONCE) {
            self.close_slow(now, id, out);
        }
    }
}
