//! `heartbeat`: the client shows that it is alive and learns the server's time. In rooms that keep presence, what it says of
//! itself is told to the others.

use fanfare_protocol::wire::CommandId;
use fanfare_protocol::{Body, Reply};

use crate::command::presence;
use crate::effect::Effects;
use crate::id::ConnectionId;
use crate::local::Local;
use crate::time::Now;

pub(crate) fn heartbeat(
    local: &mut Local,
    now: Now,
    id: ConnectionId,
    command: Option<&CommandId>,
    data: Option<&Body>,
    out: &mut Effects,
) {
    presence::heard(local, id, data, out);
    local.reply(id, command, &Reply::HeartbeatAck { server_time_unix_ms: now.unix_ms, data });
}
