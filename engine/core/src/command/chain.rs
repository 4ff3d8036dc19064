//! Commands that are one message: each is done when the one before it is, and none after one that was refused.
//!
//! They count as one command. What the client sends meanwhile waits behind them, so that all of it takes effect in the order it came.

use std::collections::VecDeque;

use fanfare_protocol::wire::CommandId;
use fanfare_protocol::{Reply, Request};

use super::{go_on, perform};
use crate::effect::Effects;
use crate::id::ConnectionId;
use crate::local::{Local, State};
use crate::time::Now;

/// What is left of a message's commands.
#[derive(Debug)]
pub(crate) struct Chain {
    /// The command whose answer is waited for.
    waits_for: Option<CommandId>,
    rest: VecDeque<Request>,
}

impl Chain {
    /// Has this done before the rest.
    pub(crate) fn goes_on_with(&mut self, request: Request) {
        self.rest.push_front(request);
    }
}

impl Local {
    /// A command of a chain was answered, or something else was said.
    pub(crate) fn heard_answer(&mut self, id: ConnectionId, command: Option<&CommandId>, reply: &Reply<'_>) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let Some(extra) = connection.extra.as_mut() else { return };
        let Some(chain) = extra.chain.as_mut().filter(|chain| chain.waits_for.as_ref() == command) else {
            return;
        };
        if matches!(reply, Reply::Error { .. } | Reply::Limited { .. }) {
            chain.rest.clear();
        }
        self.chained.push(id);
    }
}

/// Begins with the first. The caller has counted it.
pub(super) fn begin(
    local: &mut Local,
    now: Now,
    id: ConnectionId,
    first: Request,
    rest: VecDeque<Request>,
    out: &mut Effects,
) {
    if !rest.is_empty() {
        let connection = local.connections.get_mut(id).expect("invariant: the caller holds it");
        let chain = Chain { waits_for: first.id.clone(), rest };
        connection.extra.get_or_insert_default().chain = Some(Box::new(chain));
    }
    perform(local, now, id, first, out);
}

/// Goes on where a command of a chain was answered.
pub(crate) fn go_on_chains(local: &mut Local, now: Now, out: &mut Effects) {
    while let Some(id) = local.chained.pop() {
        let Some(connection) = local.connections.get_mut(id) else { continue };
        let chain = connection.extra.as_mut().and_then(|extra| extra.chain.take());
        let Some(mut chain) = chain.filter(|_| connection.state == State::Open) else { continue };
        let Some(next) = chain.rest.pop_front() else {
            go_on(local, now, id, out);
            continue;
        };
        if !local.paced(now, id, &next, out) {
            go_on(local, now, id, out);
            continue;
        }
        if !chain.rest.is_empty() {
            chain.waits_for.clone_from(&next.id);
            let connection = local.connections.get_mut(id).expect("invariant: just seen");
            connection.extra.get_or_insert_default().chain = Some(chain);
        }
        perform(local, now, id, next, out);
        let connection = local.connections.get(id);
        let is_free = connection.is_some_and(|connection| !connection.is_chained());
        if is_free {
            go_on(local, now, id, out);
        }
    }
}
