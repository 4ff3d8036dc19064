//! Coming back to a session: what a client was told to bring, and whether the server must know it.

use std::collections::BTreeSet;

use crate::World;

/// Connections of one person that are there and given up, at most.
const OLD_MAX: usize = 2;

/// What the server must remember of a connection that ended.
#[derive(Clone, Debug)]
struct Parked {
    rooms: BTreeSet<String>,
    lost_ms: u64,
    life: u64,
    /// The connection, where the server may not know yet that it ended.
    client: usize,
}

/// See the module's own text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Session {
    /// What the last welcome gave, and in which life of the process.
    token: Option<(String, u64)>,
    /// Whether this connection was welcomed.
    is_welcome: bool,
    is_resumed: bool,
    parked: Option<Parked>,
    /// What this connection goes on with, if it brought a token.
    brought: Option<(String, u64)>,
    must_resume: Option<Parked>,
    /// Client ids under which there may be another connection, given up before its welcome or somebody else's: what is
    /// remembered under them may be that one's, or be forgotten.
    shared: BTreeSet<String>,
    /// Those of them that it has brought itself, on a connection that broke before its welcome: its join may be on its way
    /// still, and takes the place of a later connection.
    in_vain: BTreeSet<String>,
    /// The rooms it did not name, since the server knows them.
    left_out: BTreeSet<String>,
    /// Connections that were given up without a word, and those of them that had to make way.
    pub(crate) old: Vec<usize>,
    pub(crate) replaced: BTreeSet<usize>,
}

impl Session {
    /// The token, to be shown by somebody else.
    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_ref().map(|(text, _)| text.as_str())
    }

    /// Whether one more connection may be given up without a word: where no time passes they would all stay.
    pub(crate) fn may_forget(&self, world: &World) -> bool {
        self.old.iter().filter(|client| world.is_open(**client)).count() < OLD_MAX
    }

    /// Whether this connection was welcomed.
    pub(crate) fn is_welcome(&self) -> bool {
        self.is_welcome
    }

    /// Whether it goes on with a session.
    pub(crate) fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    /// Whether another connection of its own may still take the place of this one.
    pub(crate) fn has_tried_in_vain(&self) -> bool {
        self.token().is_some_and(|token| self.in_vain.contains(client_of(token)))
    }

    /// A connection is opened: what to bring, if anything.
    pub(crate) fn take_up(&mut self, world: &mut World) -> Option<Box<str>> {
        (self.is_welcome, self.is_resumed) = (false, false);
        self.left_out.clear();
        self.brought = self.token.clone().filter(|_| world.random.chance(50));
        let parked = self.parked.take().filter(|parked| parked.is_remembered(world));
        let is_there = |parked: &Parked| !self.old.contains(&parked.client) || world.is_open(parked.client);
        self.must_resume = parked.filter(|parked| self.brought.is_some() && is_there(parked));
        self.brought.as_ref().map(|(text, _)| text.as_str().into())
    }

    /// Whether a room need not be named.
    pub(crate) fn leaves_out(&mut self, world: &mut World, room: &str) -> bool {
        let known = self.must_resume.as_ref().is_some_and(|parked| parked.rooms.contains(room));
        let left_out = known && world.random.chance(50);
        if left_out {
            self.left_out.insert(room.to_owned());
        }
        left_out
    }

    /// The welcome came: gives the rooms that must be joined by command after all.
    pub(crate) fn welcome(
        &mut self,
        world: &World,
        resumed: bool,
        token: &str,
    ) -> Result<BTreeSet<String>, String> {
        (self.is_welcome, self.is_resumed) = (true, resumed);
        self.token = Some((token.to_owned(), world.life()));
        let must = self.must_resume.take().filter(|parked| parked.is_remembered(world));
        match &self.brought {
            None if resumed => return Err("it brought nothing".to_owned()),
            Some((_, life)) if resumed && *life != world.life() => {
                return Err("the process has died since".to_owned());
            }
            _ if !resumed && must.is_some() => return Err(format!("{must:?} is not known")),
            _ => {}
        }
        if resumed && let Some(parked) = must.filter(|parked| self.old.contains(&parked.client)) {
            self.replaced.insert(parked.client);
        }
        Ok(if resumed { BTreeSet::new() } else { std::mem::take(&mut self.left_out) })
    }

    /// The connection ends, having been in these rooms.
    pub(crate) fn part(&mut self, world: &World, client: usize, rooms: BTreeSet<String>) {
        if let Some((text, _)) = self.brought.as_ref().filter(|_| !self.is_welcome) {
            self.shared.insert(client_of(text).to_owned());
            self.in_vain.insert(client_of(text).to_owned());
        }
        let alone = self.token().is_some_and(|token| !self.shared.contains(client_of(token)));
        let remembers = self.is_welcome && world.is_open(client) && !rooms.is_empty() && alone;
        let (lost_ms, life) = (world.now.mono_ms(), world.life());
        self.parked = remembers.then_some(Parked { rooms, lost_ms, life, client });
    }

    /// Somebody else was there under this client id, or may have been.
    pub(crate) fn is_disturbed(&mut self) {
        (self.parked, self.must_resume) = (None, None);
        let client = self.token().map(|token| client_of(token).to_owned());
        self.shared.extend(client);
    }
}

/// The client id in a token.
fn client_of(token: &str) -> &str {
    token.rsplit_once('.').map_or(token, |(client, _)| client)
}

impl Parked {
    fn is_remembered(&self, world: &World) -> bool {
        let until_ms = self.lost_ms + world.options.limits.reconnection_window_ms;
        self.life == world.life() && world.now.mono_ms() < until_ms
    }
}
